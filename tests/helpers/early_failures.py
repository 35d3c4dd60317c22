"""Failures are told as they happen, not only at the end: whoever stops a long run, or a machine that does, has them."""

import pytest

#: Characters of a failure that are told at once; the summary at the end has all of it.
TOLD = 3000


class EarlyFailures:
    """Prints the name and the end of each failure between the dots; of a process that died, the test that it ran."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.write_line(f"\nFAILED {report.nodeid} ({report.when})", red=True)
            terminal.write_line(report.longreprtext[-TOLD:])


def pytest_configure(config: pytest.Config) -> None:
    # A process of xdist sends its reports to the one that prints.
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(EarlyFailures(config), "early-failures")
