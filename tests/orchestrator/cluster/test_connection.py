"""What keeps Ray from starting is said with its fix."""


def test_a_folder_too_deep_for_rays_sockets_is_said_with_the_fix(convfleet, tmp_path):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    convfleet.environment["RAY_TMPDIR"] = str(deep)
    said = convfleet.run("run", convfleet.write_study("deep"), code=1)
    assert f"{deep}" in said
    assert "set RAY_TMPDIR to a folder with a shorter path, such as /tmp" in said
