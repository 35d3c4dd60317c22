"""A process in the place of an agent, which Ray's daemon wants to have at its side: it waits for that one's end.

Given an agent's command, it listens at the agent's port and becomes that agent once somebody connects. Ray's daemon
tries each second again, for half a minute, so that nobody asks in vain.

Run as a file, without any package.
"""

import os
import select
import socket
import sys
import time

#: How often it looks.
_SECONDS = 1.0
#: The argument of an agent that names its port.
_PORT = "--runtime-env-agent-port="


def main() -> None:
    """Waits until the process that started this one is gone, or the agent is asked for."""
    parent = os.getppid()
    if arguments := sys.argv[1:]:
        wait_for_connection(*arguments[:2], command=arguments[2:], parent=parent)
    while os.getppid() == parent:
        time.sleep(_SECONDS)


def wait_for_connection(host: str, file: str, *, command: list[str], parent: int) -> None:
    """Listens at a port until somebody connects: then this process is the agent, at that port.

    Args:
        host: The address to listen at.
        file: What gets the number of the port, where the daemon looks for it.
        command: The agent's.
        parent: The daemon's process, with which the wait ends.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        # Whole at once; an import of pathlib would take longer than all of this.
        with open(f"{file}.new", "w", encoding="ascii") as out:  # noqa: PTH123
            out.write(str(port))
        os.replace(f"{file}.new", file)  # noqa: PTH105
        while not select.select([listener], [], [], _SECONDS)[0]:
            if os.getppid() != parent:
                return
    os.execv(command[0], [f"{_PORT}{port}" if word.startswith(_PORT) else word for word in command])


if __name__ == "__main__":
    main()
