"""Search spaces at random, with every kind of domain and conditions on conditions."""

from typing import Any

from hypothesis import strategies as st

from search_spaces import Choice, Domain, Fixed, Float, Int, Parameter, SearchSpace

OPTIONS = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["a", "b", "same"]) | st.just(0.5)


def domains() -> st.SearchStrategy[Domain]:
    ends = st.tuples(st.integers(-50, 50), st.integers(0, 60)).map(lambda pair: (pair[0], pair[0] + pair[1]))
    positive = st.tuples(st.integers(1, 40), st.integers(0, 10**6)).map(lambda pair: (pair[0], pair[0] + pair[1]))
    return st.one_of(
        ends.map(lambda pair: Int(*pair)),
        positive.map(lambda pair: Int(*pair, log=True)),
        st.tuples(ends, st.integers(1, 9)).map(lambda both: Int(both[0][0], both[0][1] + 9, step=both[1])),
        ends.map(lambda pair: Float(pair[0] / 8, pair[1] / 8)),
        positive.map(lambda pair: Float(pair[0] / 1e6, pair[1] / 1e3, log=True)),
        st.tuples(ends, st.sampled_from([0.1, 0.25, 0.3])).map(
            lambda both: Float(both[0][0] / 10, both[0][1] / 10 + 1, step=both[1])
        ),
        st.lists(OPTIONS | st.tuples(OPTIONS, OPTIONS), min_size=1, max_size=4, unique_by=repr).map(Choice),
        OPTIONS.map(Fixed),
    )


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Returns a space of up to six parameters with every kind of domain and conditions on conditions."""
    families = draw(st.sampled_from([Fixed("sequential"), Choice(["sequential", "residual"])]))
    parameters = [Parameter(name="family", domain=families)]
    for number in range(draw(st.integers(0, 6))):
        when: dict[str, Any] = {}
        parent = draw(st.sampled_from(parameters))
        if draw(st.booleans()) and parent.domain.size is not None:
            indices = st.integers(0, parent.domain.size - 1)
            when[parent.name] = tuple(parent.domain.at(at) for at in draw(st.lists(indices, min_size=1, max_size=2)))
        parameters.append(Parameter(name=f"p{number}", domain=draw(domains()), when=when))
    return SearchSpace(parameters)
