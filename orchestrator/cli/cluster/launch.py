"""The command that sends a study to a cluster."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.cluster.asking import follow_job, job_json
from orchestrator.cli.console import print_json
from orchestrator.cli.options import JsonOption, SetOption, StudyArgument
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from orchestrator.cluster.jobs.shipment import Shipment
    from orchestrator.cluster.kubernetes.settings import KubernetesSettings

_KUBERNETES = "kubernetes"
_AT_ONCE = "resources.max_concurrent"


def launch(
    study: StudyArgument,
    *,
    on: Annotated[
        str,
        typer.Option(
            metavar="CLUSTER",
            help="A dashboard's address such as http://127.0.0.1:8265, Ray's cluster.yaml, or kubernetes.",
        ),
    ],
    overrides: SetOption = None,
    runs: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Where run folders are kept on the nodes: an absolute path.")
    ] = None,
    with_settings: Annotated[
        list[str] | None,
        typer.Option(
            "--with", metavar="KEY=VALUE", help="Kubernetes: image=..., claim=..., workers=8, ...; repeatable."
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Do not follow the job.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be submitted, and submit nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Send a study to a cluster as a job, follow it, and exit as it does; again: go on with its run."""
    from orchestrator.cluster.jobs.shipment import shipment_of

    shipment = shipment_of(study, overrides=overrides or ())
    if with_settings and on != _KUBERNETES:
        raise InputError(f"--with {with_settings[0]}: is for --on kubernetes, got --on {on}")
    settings = _kubernetes_settings(with_settings or ()) if on == _KUBERNETES else None
    if (number := _most_trials(shipment, on=on, settings=settings)) is not None:
        shipment = shipment_of(study, overrides=[*(overrides or ()), f"{_AT_ONCE}={number}"])
    if settings is not None:
        _on_kubernetes(shipment, runs=runs, settings=settings, dry_run=dry_run, as_json=as_json)
        return
    _on_ray(shipment, on=on, runs=runs, detach=detach, dry_run=dry_run, as_json=as_json)


def _kubernetes_settings(texts: "list[str] | tuple[()]") -> "KubernetesSettings":
    from orchestrator.cluster.kubernetes.settings import parsed_settings

    return parsed_settings(texts)


def _most_trials(shipment: "Shipment", *, on: str, settings: "KubernetesSettings | None") -> int | None:
    """Returns how many trials have a place once the cluster has grown; None where the study or nobody says it."""
    from orchestrator.cluster.jobs.growth import Growth, NodeGroup, growth_of_file
    from orchestrator.cluster.resources import NodeResources

    resources = shipment.spec.resources
    if resources.max_concurrent != "auto" or (settings is not None and settings.lasting):
        return None
    growth = growth_of_file(Path(on)) if _is_file(on) else None
    if settings is not None:
        worker = NodeResources(cpus=settings.cpus, gpus=settings.gpus)
        growth = Growth(groups=[NodeGroup(resources=worker, most=settings.workers)], most_workers=settings.workers)
    number = 0 if growth is None else growth.most_trials(resources)
    if number:
        print(f"note: {_AT_ONCE}: {number}, as many as fit once the cluster has all its nodes", file=sys.stderr)
        return number
    # A share of a GPU that nobody has seen yet must be named as well.
    gpus = " --set resources.gpus_per_trial=1" if resources.gpus_per_trial == "auto" else ""
    print(
        f"note: {_AT_ONCE}: auto counts the nodes that are there; where an autoscaler brings them, say how many trials "
        f"may run at once, such as --set {_AT_ONCE}=8{gpus}",
        file=sys.stderr,
    )
    return None


def _is_file(on: str) -> bool:
    return on.lower().endswith((".yaml", ".yml"))


def _on_ray(shipment: "Shipment", *, on: str, runs: str | None, detach: bool, dry_run: bool, as_json: bool) -> None:
    from orchestrator.cluster.jobs.client import LOCAL, demand_cluster_packages, http_address
    from orchestrator.cluster.jobs.launcher import tunnel_to
    from orchestrator.cluster.jobs.shipment import demand_absolute_runs

    wanted = demand_absolute_runs(runs)
    is_file = _is_file(on)
    place = on if is_file else http_address(on)
    if dry_run:
        _show(shipment, place=place, runs=wanted, as_json=as_json)
        return
    demand_cluster_packages()
    _say_what_nodes_need(shipment)
    if not is_file:
        _submit(shipment, address=place, seen_at=place, runs=wanted, detach=detach, as_json=as_json)
        return
    # The tunnel of this command ends with it; Ray has a command for one that lasts.
    seen_at = f"{LOCAL} beside `ray dashboard {on}`"
    with tunnel_to(Path(on), notify=lambda text: print(text, file=sys.stderr)) as address:
        _submit(shipment, address=address, seen_at=seen_at, runs=wanted, detach=detach, as_json=as_json)


def _submit(shipment: "Shipment", *, address: str, seen_at: str, runs: str, detach: bool, as_json: bool) -> None:
    from orchestrator.cluster.jobs.client import connected, is_plain_text
    from orchestrator.cluster.jobs.job import job_of, submit

    if is_plain_text(address):
        print(
            f"note: {address} is not encrypted, nor is what is sent there, the token among it; a tunnel is: ssh -N -L "
            "8265:127.0.0.1:8265 HEAD",
            file=sys.stderr,
        )
    client = connected(address)
    name = submit(client, shipment, address=address, runs=runs)
    print(f"job {name}: submitted; convfleet jobs shows it from anywhere, at {seen_at}", file=sys.stderr)
    if not detach:
        follow_job(client, name, address=address, seen_at=seen_at, as_json=as_json)
    elif as_json:
        print_json(job_json(job_of(client, name, address=address), address=address))
    else:
        print(name)


def _show(shipment: "Shipment", *, place: str, runs: str, as_json: bool) -> None:
    """Shows what would be submitted."""
    command = shipment.command(runs=runs)
    if as_json:
        files = {name: len(content) for name, content in shipment.files.items()}
        shown = {"on": place, "command": command, "files": files, "on_nodes": list(shipment.on_nodes)}
        print_json({**shown, "run": f"{runs}/{shipment.spec.name}"})
        return
    print(f"on       {place}")
    print(f"command  {command}")
    for name, content in shipment.files.items():
        print(f"sends    {name}, {len(content):,} bytes")
    for path in shipment.on_nodes:
        print(f"needs    {path}, on every node")
    print(f"run      {runs}/{shipment.spec.name}, on a folder that every node mounts")


def _on_kubernetes(
    shipment: "Shipment", *, runs: str | None, settings: "KubernetesSettings", dry_run: bool, as_json: bool
) -> None:
    from orchestrator.cluster.jobs.shipment import demand_absolute_runs
    from orchestrator.cluster.kubernetes.kubectl import as_yaml, hand_over
    from orchestrator.cluster.kubernetes.manifests import CACHE, SHARED, manifests

    usual = f"{SHARED if settings.claim else CACHE}/runs"
    documents = manifests(shipment, settings=settings, runs=demand_absolute_runs(runs or usual))
    _say_what_nodes_need(shipment)
    if dry_run:
        print_json(documents) if as_json else print(as_yaml(documents), end="")
        return
    name = hand_over(documents)
    if as_json:
        print_json({"on": _KUBERNETES, "job": name, "run": f"{runs or usual}/{shipment.spec.name}"})
        return
    where = f" -n {settings.namespace}" if settings.namespace else ""
    print(f"{name}: made; kubectl get {name}{where} shows it")


def _say_what_nodes_need(shipment: "Shipment") -> None:
    for path in shipment.on_nodes:
        print(f"note: {path} does not travel with the study: every node must have it", file=sys.stderr)
