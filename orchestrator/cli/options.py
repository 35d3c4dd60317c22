"""Arguments, options and exit codes that several commands share."""

from typing import Annotated

import typer

EXIT_FAILED, EXIT_INPUT, EXIT_PAUSED = 1, 2, 130

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or a packaged study's name.")]
RunArgument = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run folder such as runs/quickstart, or a URI such as s3://bucket/runs/x."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, e.g. schedule.max_epochs=3; repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
FoldOption = Annotated[
    list[str] | None,
    typer.Option("--fold", metavar="RUN", help="The run of another fold of the same study; repeatable."),
]
TimelineOption = Annotated[
    bool, typer.Option("--timeline", help="Also show what the last session spent its wall time on.")
]
LabelOption = Annotated[
    str | None, typer.Option("--label", metavar="COLUMN", help="The column of a table's labels; default: what fits.")
]
AddressOption = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Join a running Ray cluster (auto: the one on this node)."),
]
WaitOption = Annotated[
    bool,
    typer.Option("--wait-for-cluster", help="With --address: wait until the cluster is there, also when it was lost."),
]
DashboardOption = Annotated[
    bool, typer.Option("--dashboard", help="Show the runs in a browser meanwhile; prints the address.")
]
