"""The card of an export says what its manifest says, shows names as text, and its code runs as it stands."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from folder_exports import FORMATS, NAMES, NUM_TEST, NUM_TRAIN
from PIL import Image

from trainables.cards.blocks import Bullets, Code, Grid, Heading, Paragraph, Picture
from trainables.cards.card import write_card
from trainables.cards.figures import brief_figures, score_blocks
from trainables.cards.limits import limits_of
from trainables.cards.loading_code import loading_code
from trainables.cards.markdown import card_markdown, markdown_text
from trainables.cards.mistakes import mistake_blocks
from trainables.cards.page import card_html
from trainables.data.cache.dataset import open_dataset
from trainables.data.formats.files import Encoded
from trainables.data.images.decode import decode
from trainables.data.images.images import Layout
from trainables.predicting.predict import predicted
from trainables.specs.export import FILES, FORMAT_NAMES
from trainables.specs.pixels import PixelRule
from trainables.specs.task import Task


@pytest.fixture(scope="module")
def card(folder_export: dict[str, Any]) -> str:
    return Path(folder_export["result"].folder, "model_card.md").read_text(encoding="utf-8")


def code_of(card: str) -> dict[str, str]:
    """Returns the code of each format, as the card has it."""
    found = re.findall(r"^([\w\\]+), the file [^\n]*:\n\n```python\n(.*?)```", card, flags=re.MULTILINE | re.DOTALL)
    return {form.replace("\\", ""): code for form, code in found}


@pytest.mark.parametrize("form", sorted(set(FORMAT_NAMES) - set(FORMATS)))
def test_code_of_a_quantised_file_is_that_of_its_runtime(form: str, folder_export: dict[str, Any]) -> None:
    manifest = json.loads((Path(folder_export["result"].folder) / "manifest.json").read_text(encoding="utf-8"))
    runtime = form.partition("_")[0]
    assert loading_code(manifest, form) == loading_code(manifest, runtime).replace(
        f'"{FILES[runtime]}', f'"{FILES[form]}'
    )


@pytest.mark.parametrize("form", FORMATS)
def test_code_of_the_card_predicts_what_convfleet_predicts(  # noqa: PLR0917 - fixtures
    form: str,
    card: str,
    folder_export: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Path(folder_export["result"].folder)
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    pixels = np.random.default_rng(3).integers(0, 255, (8, 8)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    exec(compile(code_of(card)[form], form, "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    asked = {"export": str(folder), "format": "keras", "paths": ["image.png"], "top": 3, "masks": None}
    (answer,) = predicted(asked, lambda *_: None)["predictions"]
    wanted = {item["class"]: item["probability"] for item in answer["top"]}
    assert printed.startswith(repr(sorted(NAMES)))
    numbers = re.findall(r"\d\.\d+(?:e-\d+)?", printed.removeprefix(repr(sorted(NAMES))))
    expected = [wanted[name] for name in sorted(NAMES)]
    assert [float(number) for number in numbers[:3]] == pytest.approx(expected, abs=1e-4)


def test_card_is_one_of_the_files_whose_hashes_the_manifest_holds(folder_export: dict[str, Any]) -> None:
    folder = Path(folder_export["result"].folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert {"model_card.md", "model_card.html"} < manifest["files"].keys()


def test_card_has_the_numbers_of_the_manifest(card: str, folder_export: dict[str, Any]) -> None:
    manifest = json.loads(Path(folder_export["result"].folder, "manifest.json").read_text(encoding="utf-8"))
    tested = manifest["test_metrics"]
    for wanted in (
        f"with {manifest['num_parameters']:,} parameters",
        f"| fingerprint of images, labels and splits | {manifest['dataset_fingerprint']} |",
        f"| test images | {NUM_TEST} |",
        f"| train images | {manifest['splits']['train']} |",
        f"| seed of the splits | {folder_export['seed']} |",
        f"| loss | {manifest['metrics']['val_loss']:.4g} | {tested['loss']:.4g} |",
        f"| learning\\_rate | {manifest['variant']['params']['learning_rate']} |",
        "Confusion matrix: rows are the labels, columns the predictions.",
        "expected calibration error ",
        "3 of 3 classes have fewer than 30 test images",
    ):
        assert wanted in card
    low_high = re.search(rf"\| accuracy \| .* \| {tested['accuracy']:.4g} \((0\.\d+)-(\d\.\d+)\) \|", card)
    assert low_high is not None
    assert float(low_high[1]) < tested["accuracy"] <= float(low_high[2])
    assert manifest["splits"]["train"] + manifest["splits"]["validation"] == NUM_TRAIN


def test_names_of_a_study_are_text_in_the_card_and_never_markup(card: str, folder_export: dict[str, Any]) -> None:
    page = Path(folder_export["result"].folder, "model_card.html").read_text(encoding="utf-8")
    assert "<b>ape" not in page
    assert "<i>animals" not in page
    assert "&lt;b&gt;ape" in page
    assert "<title>Model card: three &lt;i&gt;animals&lt;/i&gt;, trial t0000</title>" in page
    assert "# Model card: three \\<i\\>animals\\</i\\>, trial t0000\n" in card
    assert "| newt \\| \\*eel\\* |" in card
    assert re.search(r"(?<!\\)<", re.sub(r"```.*?```", "", card, flags=re.DOTALL)) is None
    assert "<script" not in page
    assert "default-src 'none'" in page


NASTY = "<img src=x onerror=alert(1)> | [a](http://b.c) `x` *y* _z_ # www.d.e\n\n- \x1b[31m@f"


@pytest.mark.parametrize(
    "block",
    [
        Heading(text=NASTY),
        Paragraph(text=NASTY),
        Bullets(items=(NASTY,)),
        Grid(headings=(NASTY,), rows=((NASTY,),)),
    ],
)
def test_no_text_begins_markup_in_any_block(block: Any) -> None:
    from markdown_it import MarkdownIt

    page = card_html([block], title=NASTY)
    assert "<img" not in page
    assert "\x1b" not in page
    rendered = MarkdownIt("commonmark").enable("table").render(card_markdown([block]))
    assert re.findall(r"<(img|a|em|code|strong|script)\b", rendered) == []
    assert "&lt;img src=x onerror=alert(1)&gt;" in rendered
    assert "http\\://" in markdown_text(NASTY)


def test_code_in_a_page_is_text() -> None:
    assert "<pre><code>print(&quot;&lt;b&gt;&quot;)</code></pre>" in card_html(
        [Code(language="python", text='print("<b>")')], title="t"
    )


def test_large_matrix_becomes_the_commonest_confusions() -> None:
    size = 25
    confusion = [
        [9 * (row == column) + 4 * (row == 2 and column == 7) for column in range(size)] for row in range(size)
    ]
    share = {"value": 0.9, "interval": [0.8, 1.0]}
    classes = [
        {"name": f"c{at}", "total": 9, "recall": share, "precision": share, "f1": 0.9, "right": 9} for at in range(size)
    ]
    calibration = {"bins": [], "expected_error": 0.0}
    found = {"kind": "classification", "unit": "images", "classes": classes, "confusion": confusion}
    text = card_markdown(list(score_blocks({"t": {**found, "calibration": calibration}})))
    assert "The 1 commonest confusions" in text
    assert "| c2 | c7 | 4 |" in text
    assert "Confusion matrix" not in text
    # The manifest keeps as much as the card shows.
    assert brief_figures({"t": found}) == {
        "t": {"kind": "classification", "unit": "images", "confusions": [["c2", "c7", 4]]}
    }


def test_a_manifest_keeps_small_matrices_and_the_worst_mistakes() -> None:
    mistakes = {"images": 3, "wrong": 1, "examples": []}
    found = {"kind": "classification", "unit": "images", "total": 3, "calibration": {}, "mistakes": mistakes}
    classes = {"classes": [{"name": "cat", "total": 2}, {"name": "dog", "total": 1}], "confusion": [[1, 1], [0, 1]]}
    numbers = {"kind": "regression", "unit": "images", "total": 3, "values": [], "mistakes": mistakes}
    assert brief_figures({"label": {**found, **classes}, "size": numbers}) == {
        "label": {
            "kind": "classification",
            "unit": "images",
            "class_names": ["cat", "dog"],
            "confusion": [[1, 1], [0, 1]],
            "confusions": [["cat", "dog", 1]],
            "mistakes": mistakes,
        },
        "size": {"kind": "regression", "unit": "images", "mistakes": mistakes},
    }


def test_limits_say_what_is_shared_left_out_and_made_of_a_twin() -> None:
    manifest = {"formats_left_out": {"onnx": "no celu"}, "runtimes": {"litert": {"float32_difference": 1e-3}}}
    found = {"data": {"shared": [{"split": "test", "in": "train", "images": 2}]}, "notes": ["best of 9 trials"]}
    sentences = list(limits_of(manifest, scores={}, found=found))
    assert "best of 9 trials" in sentences
    assert "2 test images are among the train images, pixel by pixel" in sentences
    assert "The format onnx was left out: no celu" in sentences
    assert any("float32 twin" in sentence for sentence in sentences)


def pixels_by_code(code: str, path: Path) -> np.ndarray:
    """Returns the pixels that the code of a card makes of an image; no model is loaded."""
    lines = code.replace('"image.png"', repr(str(path))).splitlines()
    stop = next(number for number, line in enumerate(lines) if line.startswith("model ="))
    scope: dict[str, Any] = {}
    exec("\n".join(line for line in lines[:stop] if "keras" not in line), scope)
    return np.asarray(scope["pixels"])


def preprocessing_manifest(rule: PixelRule, *, channels: int) -> dict[str, Any]:
    """Returns what the code of a card depends on, of two inputs of 8x6 pixels."""
    ground = "alpha is dropped" if rule.ground is None else list(rule.ground)
    return {
        "inputs": [{"name": name, "shape": [None, 8, 6, channels]} for name in ("left", "right")],
        "outputs": [{"name": "age", "class_names": []}],
        "preprocessing": {"pixel_range": {"8 bits": list(rule.byte)}, "background": ground},
    }


def test_code_gives_each_input_an_image() -> None:
    code = loading_code(preprocessing_manifest(PixelRule(), channels=3), "keras")
    assert 'model.predict({"left": pixels, "right": pixels}, verbose=0)' in code


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "rule",
    [
        PixelRule(),
        PixelRule(byte=(0, 16)),
        PixelRule(ground=(255, 255, 255)),
        PixelRule(byte=(20.5, 200.0), cuts=("byte",), ground=(64, 64, 64)),
    ],
    ids=["plain", "dim", "ground", "range and ground"],
)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "turned"])
def test_code_reads_an_image_as_the_study_reads_its_own(
    mode: str, rule: PixelRule, channels: int, tmp_path: Path
) -> None:
    highest = 17 if rule.byte == (0, 16) else 256
    samples = np.random.default_rng(5).integers(0, highest, (13, 20, 4)).astype(np.uint8)
    samples[..., 3] *= 256 // highest
    picture, exif = Image.fromarray(samples), Image.Exif()
    if mode == "P":
        picture = picture.quantize(16, method=Image.Quantize.FASTOCTREE)
    elif mode == "turned":
        picture, exif[0x0112] = picture.convert("RGB"), 6
    else:
        picture = picture.convert(mode)
    picture.save(path := tmp_path / "picture.png", exif=exif)
    layout = Layout(height=8, width=6, channels=channels, rule=rule)
    expected = decode(Encoded(where="picture.png", content=path.read_bytes()), layout=layout)
    found = pixels_by_code(loading_code(preprocessing_manifest(rule, channels=channels), "keras"), path)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected[None])


def test_card_of_an_ensemble_names_its_members_and_neither_rank_nor_epoch_nor_seed(tmp_path: Path) -> None:
    task = Task.classification(input_shape=(8, 8, 1), num_classes=2)
    members = [
        {"trial": name, "epoch": epoch, "weight": weight, "variant": {"variant_id": f"v{epoch}"}}
        for name, epoch, weight in (("t0003", 7, 0.75), ("t0001", 2, 0.25))
    ]
    manifest = {
        "study": "s",
        "trial": "ensemble-greedy",
        "rank": 0,
        "epoch": 0,
        "num_parameters": 12,
        "variant": {"family": "ensemble", "params": {"method": "greedy"}, "variant_id": "x", "seed": 0},
        "ensemble": {"method": "greedy", "members": members, "best_single": {"trial": "t0003", "epoch": 7}},
        "splits": {"train": 3, "validation": 2, "test": 2},
        "dataset_fingerprint": "f",
        "metrics": {},
        "test_metrics": {},
    }
    write_card(tmp_path, manifest, task=task, scores={}, found={})
    text = (tmp_path / "model_card.md").read_text(encoding="utf-8")
    assert "An ensemble, the mean of outputs of 2 checkpoints, with 12 parameters." in text
    assert "compared with is t0003, epoch 7." in text
    assert "| t0003 | 7 | 0.75 | v7 |\n| t0001 | 2 | 0.25 | v2 |" in text
    assert not re.search("number 0|exported epoch|seed of the variant", text)


def test_card_shows_the_mistakes_of_the_exported_model_and_the_manifest_has_their_picture(
    card: str, folder_export: dict[str, Any]
) -> None:
    folder = Path(folder_export["result"].folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    model = keras.models.load_model(folder / "model.keras")
    test = open_dataset(folder_export["request"].worker.dataset).test
    predicted = model.predict(np.asarray(test.images[test.indices], np.float32), verbose=0)
    labels, answers = test.labels["label"][test.indices], predicted.argmax(axis=1)
    wrong = np.flatnonzero(answers != labels)
    assert len(wrong), "the model must be wrong somewhere for this test to say anything"
    assert f"{len(wrong)} of {NUM_TEST} test images are answered wrongly" in card
    names = sorted(NAMES)
    for number, place in enumerate(sorted(wrong, key=lambda place: -predicted[place].max())[:12], start=1):
        pair = f"{markdown_text(names[labels[place]])} | {markdown_text(names[answers[place]])}"
        row = f"| {number} | {place} | {test.indices[place]} | {pair} | {predicted[place].max():.4g} |"
        assert row in card
    content = (folder / "worst_mistakes.png").read_bytes()
    assert manifest["files"]["worst_mistakes.png"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert "![Test images of the worst mistakes of label](worst_mistakes.png)" in card
    page = (folder / "model_card.html").read_text(encoding="utf-8")
    (embedded,) = re.findall(r'<img src="data:image/png;base64,([^"]+)"', page)
    assert base64.b64decode(embedded) == content
    assert "img-src data:" in page


def test_a_card_shows_which_masks_are_worst_and_what_their_pixels_are_taken_for() -> None:
    example = {"place": 3, "row": 8, "label": "pet", "answer": "ground", "size": 0.25}
    found = {"mistakes": {"images": 9, "wrong": 4, "examples": [example]}, "kind": "mask"}
    text = card_markdown(list(mistake_blocks("t", found, folder=None)))
    assert "4 of 9 test images have wrong pixels" in text
    heading, row = (line for line in text.splitlines() if "place" in line or "ground" in line)
    assert [cell.strip() for cell in heading.strip("|").split("|")][-3:] == ["is", "taken for", "wrong pixels"]
    assert [cell.strip() for cell in row.strip("|").split("|")][1:] == ["3", "8", "pet", "ground", "0.25"]


def test_a_card_says_that_there_is_no_mistake_and_names_in_a_table_of_mistakes_are_text() -> None:
    nothing = {"mistakes": {"images": 9, "wrong": 0, "examples": []}, "kind": "classification"}
    assert "Worst mistakes: none. No image is answered wrongly, of 9 test images." in card_markdown(
        list(mistake_blocks("t", nothing, folder=None))
    )
    example = {"place": 3, "row": 7, "label": NASTY, "answer": "b", "size": 0.98765}
    found = {"mistakes": {"images": 9, "wrong": 1, "examples": [example]}, "kind": "classification"}
    blocks = list(mistake_blocks(NASTY, found, folder=None))
    assert "| b | 0.9877 |" in card_markdown(blocks)
    page = card_html([*blocks, Picture(file="a.png", text=NASTY, content=b"png")], title="t")
    assert re.findall("<img [^>]*", page) == [
        '<img src="data:image/png;base64,cG5n" alt="&lt;img src=x onerror=alert(1)&gt; | [a](http://b.c) `x` *y* _z_ '
        '# www.d.e - [31m@f"'
    ]


def test_the_largest_errors_of_numbers_have_the_value_that_they_are_of() -> None:
    examples = [{"place": 2, "row": 2, "value": 1, "label": 8.0, "answer": 0.5, "size": 7.5}]
    found = {"mistakes": {"images": 9, "wrong": 9, "examples": examples}, "kind": "regression", "values": [{}, {}]}
    text = card_markdown(list(mistake_blocks("t", found, folder=None)))
    assert "the largest errors of 9 test images" in text
    assert "| number | place | row | value | is | predicted | error |" in text
    assert "| 1 | 2 | 2 | 1 | 8 | 0.5 | 7.5 |" in text
