"""Makes one trial's checkpoint another trial's beginning."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from trainables.checkpoints.checkpoint import CHANGED, checkpoint_folder, load_checkpoint
from trainables.errors import CheckpointError
from trainables.files.folders import delete_draft, existing, new_draft, put_in_place, sync, write_new
from trainables.files.manifests import MANIFEST


def inherit_checkpoint(  # noqa: PLR0913 - two trials and what is between them
    trial_folder: Path, *, epoch: int, variant_id: str, heir_folder: Path, heir_id: str, changed: Sequence[str]
) -> None:
    """Puts a trial's checkpoint into the folder of another trial, as a checkpoint of that one's variant.

    The arrays' file gets a second name where the file system can: checkpoints are written once and never changed. What
    was in the other trial's folder before is deleted.

    Args:
        trial_folder: The checkpoints of the trial that trained.
        epoch: The checkpoint's.
        variant_id: Of the trial that trained.
        heir_folder: The checkpoints of the trial that goes on.
        heir_id: Its variant.
        changed: The parameters of which both variants have other values.

    Raises:
        CheckpointError: The checkpoint is missing, damaged, or of another variant.
    """
    source, target = checkpoint_folder(trial_folder, epoch=epoch), checkpoint_folder(heir_folder, epoch=epoch)
    load_checkpoint(source, variant_id=variant_id)
    shutil.rmtree(heir_folder, ignore_errors=True)
    draft = new_draft(target)
    try:
        place = existing(source)
        manifest = json.loads((place / MANIFEST).read_bytes())
        for file in place.iterdir():
            if file.name != MANIFEST:
                link_or_copy(file, draft / file.name)
                # The worker that wrote it flushes its files only now and then.
                sync(draft / file.name)
        content = {**manifest, "variant_id": heir_id, CHANGED: list(changed)}
        write_new(draft / MANIFEST, json.dumps(content).encode(), is_durable=True)
        put_in_place(draft, target, is_durable=True)
        sync(heir_folder.parent)
    except FileNotFoundError as exc:
        delete_draft(draft)
        raise CheckpointError(f"{source}: was deleted meanwhile") from exc
    except Exception:
        delete_draft(draft)
        raise


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Gives a file a second name where the file system can, and copies it where it cannot."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(source, target)
