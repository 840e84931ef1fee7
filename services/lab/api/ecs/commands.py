"""Cloud Assistant: commands on instances, and how they went."""

from __future__ import annotations

import asyncio
import base64
import binascii
import shlex
from dataclasses import replace

from services.lab.api.call import Call
from services.lab.api.ecs.instances import pages
from services.lab.api.errors import ApiError, missing
from services.lab.api.moments import iso
from services.lab.state.account import Account, Invocation, Json
from services.lab.state.cloud import CloudState, RunOnHost
from services.lab.state.identifiers import fresh
from services.problem import Problem

_LONGEST_SCRIPT = 24 * 1024
_LONGEST_OUTPUT = 24 * 1024
_LONGEST_TIMEOUT_S = 86_400


def run_command(call: Call) -> tuple[Json, Account]:
    asked = call.parameters
    asked.needed("RegionId")
    asked.needed("Type", among=("RunShellScript",))
    script = _script(call)
    targets = asked.texts("InstanceId", 100)
    if not targets:
        raise missing("InstanceId")
    if not call.runs_commands or not set(targets) <= call.account.instances.keys():
        raise ApiError(
            "InvalidInstanceId.NotFound", "The specified InstanceId does not exist.", 404
        )
    if folder := asked.text("WorkingDir"):
        script = f"cd {shlex.quote(folder)} || exit 1\n{script}"
    invoke_id, command_id = fresh("t"), fresh("c")
    new = {
        f"{invoke_id}/{target}": Invocation(
            id=invoke_id,
            command_id=command_id,
            instance_id=target,
            script=script,
            timeout_s=asked.number("Timeout", 60, 1, _LONGEST_TIMEOUT_S),
            user=asked.text("Username") or "root",
            started=call.now,
        )
        for target in targets
    }
    account = replace(call.account, invocations={**call.account.invocations, **new})
    return {"CommandId": command_id, "InvokeId": invoke_id}, account


def describe_invocation_results(call: Call) -> Json:
    asked = call.parameters
    asked.needed("RegionId")
    encoding = asked.text("ContentEncoding", "Base64", among=("Base64", "PlainText"))
    found = [
        one
        for one in call.account.invocations.values()
        if asked.text("InvokeId") in ("", one.id)
        if asked.text("InstanceId") in ("", one.instance_id)
        if asked.text("CommandId") in ("", one.command_id)
    ]
    page, fields = pages(asked, found, default=10, low=1, most=50)
    shown = [_shown(one, encoding) for one in page]
    return {"Invocation": {"InvocationResults": {"InvocationResult": shown}, **fields}}


class CloudAssistant:
    """Runs what `run_command` wrote down, each command in a thread, and writes down how it went."""

    def __init__(self, state: CloudState) -> None:
        self._state = state
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Call off what an earlier process left half done, then begin to listen for commands."""

        def interrupt(account: Account, now: float) -> tuple[None, Account]:
            left = {
                key: replace(
                    one,
                    status="Failed",
                    finished=now,
                    error_code="ExecutionInterrupted",
                    error_info="The instance was restarted while the command ran.",
                )
                for key, one in account.invocations.items()
                if one.status == "Running"
            }
            if not left:
                return None, account
            return None, replace(account, invocations={**account.invocations, **left})

        await self._state.transact(interrupt)
        self._state.on_change(self._pick_up)

    async def stop(self) -> None:
        """Wait for nothing any more: what still runs is called off at the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _pick_up(self) -> None:
        if (run := self._state.run_on_host) is None:
            return
        for key, one in self._state.account.invocations.items():
            if one.status == "Running" and key not in self._tasks:
                self._tasks[key] = asyncio.create_task(self._perform(run, key, one))

    async def _perform(self, run: RunOnHost, key: str, one: Invocation) -> None:
        ended = replace(one, status="Success")
        try:
            async with asyncio.timeout(one.timeout_s):
                exit_code, output = await asyncio.to_thread(run, one.instance_id, one.script)
            ended = replace(ended, exit_code=exit_code, output=output[-_LONGEST_OUTPUT:])
            if exit_code:
                ended = replace(ended, status="Failed", error_code="ExitCodeNonzero")
        except TimeoutError:
            ended = replace(ended, status="Timeout", error_code="ExecutionTimeout")
        except (OSError, Problem) as error:
            info = error.code if isinstance(error, Problem) else error.strerror or ""
            ended = replace(
                ended, status="Failed", error_code="ExecutionException", error_info=info
            )

        def record(account: Account, now: float) -> tuple[None, Account]:
            done = replace(ended, finished=now)
            return None, replace(account, invocations={**account.invocations, key: done})

        await self._state.transact(record)
        del self._tasks[key]


def _script(call: Call) -> str:
    text = call.parameters.needed("CommandContent")
    if call.parameters.text("ContentEncoding", "PlainText", among=("PlainText", "Base64")) == (
        "Base64"
    ):
        try:
            text = base64.b64decode(text, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise call.parameters.illegal("CommandContent") from None
    if len(text.encode()) > _LONGEST_SCRIPT:
        raise call.parameters.illegal("CommandContent")
    return text


_RECORD_STATUS = {"Running": "Running", "Success": "Finished"}
"""`InvokeRecordStatus` by `InvocationStatus`; everything else is Failed."""


def _shown(one: Invocation, encoding: str) -> Json:
    output = one.output
    if encoding == "Base64":
        output = base64.b64encode(output.encode()).decode()
    shown: Json = {
        "CommandId": one.command_id,
        "Dropped": 0,
        "ErrorCode": one.error_code,
        "ErrorInfo": one.error_info,
        "InstanceId": one.instance_id,
        "InvocationStatus": one.status,
        "InvokeId": one.id,
        "InvokeRecordStatus": _RECORD_STATUS.get(one.status, "Failed"),
        "Output": output,
        "Repeats": 1,
        "StartTime": iso(one.started),
        "Username": one.user,
    }
    if one.finished:
        shown |= {"ExitCode": one.exit_code, "FinishedTime": iso(one.finished)}
    return shown
