"""A process in the place of an agent, which Ray's daemon wants to have at its side: it waits for that one's end.

Given an agent's command, it listens at the agent's port and becomes that agent once somebody connects. The socket goes
over to the agent with whoever waits at it, so that nobody else can have the port in between.

Run as a file, without any package. The agent is Ray's `runtime_env/agent/main.py`, seen in Ray 2.60, which binds the
port that it is told; tests/orchestrator/cluster/test_idle_agent.py shows what changed.
"""

import os
import select
import socket
import sys
import time

#: How often it looks.
_SECONDS = 1.0
#: As many wait while the agent is imported.
_BACKLOG = 128
#: The argument of an agent that names its port.
_PORT = "--runtime-env-agent-port="
#: The first argument of the process that becomes the agent.
_BECOME = "--become"


def main() -> None:
    """Waits until the process that started this one is gone, or the agent is asked for."""
    parent, arguments = os.getppid(), sys.argv[1:]
    if arguments[:1] == [_BECOME]:
        become(int(arguments[1]), command=arguments[2:])
        return
    if arguments:
        wait_for_connection(*arguments[:2], command=arguments[2:], parent=parent)
    while os.getppid() == parent:
        time.sleep(_SECONDS)


def wait_for_connection(host: str, file: str, *, command: list[str], parent: int) -> None:
    """Listens at a port until somebody connects: then this process becomes the agent, at that port.

    Args:
        host: The address to listen at.
        file: What gets the number of the port, where the daemon looks for it.
        command: The agent's: Python, its options, a program and that one's arguments.
        parent: The daemon's process, with which the wait ends.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, backlog=_BACKLOG) as listener:
        port = listener.getsockname()[1]
        # Whole at once, and a file of its own: others may write to the folder, which is Ray's.
        number = os.open(f"{file}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        os.write(number, str(port).encode())
        os.close(number)
        os.replace(f"{file}.new", file)  # noqa: PTH105 - an import of pathlib takes longer than all of this
        while not select.select([listener], [], [], _SECONDS)[0]:
            if os.getppid() != parent:
                return
        listener.set_inheritable(True)
        told = [f"{_PORT}{port}" if word.startswith(_PORT) else word for word in command]
        place = next(at for at, word in enumerate(told[1:], start=1) if not word.startswith("-"))
        program = [_BECOME, str(listener.fileno()), *told[place:]]
        os.execv(told[0], [*told[:place], __file__, *program])


def become(file: int, *, command: list[str]) -> None:
    """Runs an agent whose port is that of a socket that listens already.

    Args:
        file: The socket's number among the open files.
        command: The agent's program and its arguments.
    """
    import runpy

    # Closed by nobody: the agent has a copy of it.
    own, bind = socket.socket(fileno=os.dup(file)).getsockname()[:2], socket.socket.bind

    def bind_or_take(self: socket.socket, address: tuple[str, int]) -> None:
        if address[:2] == own:
            os.dup2(file, self.fileno())
        else:
            bind(self, address)

    socket.socket.bind = bind_or_take  # type: ignore[assignment, method-assign]
    sys.argv = command
    sys.path[0] = os.path.dirname(command[0])  # noqa: PTH120
    runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    main()
