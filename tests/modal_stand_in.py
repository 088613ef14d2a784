"""A stand-in for Modal's servers on a port of this machine, for `modal run` without an account.

It speaks the private protocol of Modal 1.6; a call that is not told apart below has an empty reply.
A function's inputs run in Modal's own container program, one process each, with a folder for the
volume. Where one ends without a result, as a pre-empted one does, the input starts in another.
"""

import asyncio
import os
import pickle
import re
import signal
import sys
import threading
from collections import defaultdict
from pathlib import Path

from grpclib import GRPCError, Status
from grpclib.const import Handler
from grpclib.server import Server
from modal_proto import api_pb2 as api
from modal_proto.api_grpc import ModalClientBase

CONTAINER = """
import pathlib, runpy, sys
import modal_entry
modal_entry.ROOT = pathlib.Path(sys.argv[1])
runpy.run_module("modal._container_entrypoint", run_name="__main__")
"""
BUILDER = api.EnvironmentSettings(image_builder_version="2025.06")
SUCCESS = api.GenericResult(status=api.GenericResult.GENERIC_STATUS_SUCCESS)
FIXED = {
    "AppCreate": api.AppCreateResponse(app_id="ap-1"),
    "EnvironmentGetOrCreate": api.EnvironmentGetOrCreateResponse(
        environment_id="en-1", metadata=api.EnvironmentMetadata(settings=BUILDER)
    ),
    "ImageGetOrCreate": api.ImageGetOrCreateResponse(image_id="im-1", result=SUCCESS),
    "MountGetOrCreate": api.MountGetOrCreateResponse(mount_id="mo-1"),
    "MountPutFile": api.MountPutFileResponse(exists=True),
    "VolumeGetOrCreate": api.VolumeGetOrCreateResponse(volume_id="vo-1"),
}


class StandIn:
    """The servers, as a context.

    Attributes:
        volume: the folder that stands for the volume.
        answers: what functions return, by name; the others run in containers.
        environment: variables of the containers.
        preempt_at: the commit, counted from 1, in which its container gets a SIGINT.
        url: of the servers.
        calls: all requests, by the protocol's name.
        containers: all processes, in the order of their starts.
    """

    def __init__(self, volume: Path, answers=None, preempt_at=0, environment=None):
        self.volume, self.answers, self.preempt_at = volume, answers or {}, preempt_at
        self.environment = environment or {}
        self.calls: defaultdict[str, list] = defaultdict(list)
        self.containers: list[asyncio.subprocess.Process] = []
        self._log = b""
        self._functions: dict[str, api.Function] = {}
        self._inputs: dict[str, api.FunctionGetInputsItem] = {}
        self._outputs: defaultdict[str, dict] = defaultdict(dict)
        self._tasks: set[asyncio.Task] = set()

    def __enter__(self):
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)))
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _serve(self, started):
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = Server([self])
        await server.start("127.0.0.1", 0)
        self.url = "http://{}:{}".format(*server._server.sockets[0].getsockname())
        started.set()
        await self._over.wait()
        for container in self.containers:
            if container.returncode is None:
                container.kill()
            await container.wait()
        await asyncio.gather(*self._tasks)
        server.close()
        await server.wait_closed()

    def __mapping__(self):
        names = type("Names", (), {"__getattr__": lambda _, name: name})()
        return {
            path: Handler(self._handler(one.func, one), *one[1:])
            for path, one in ModalClientBase.__mapping__(names).items()
        }

    def _handler(self, name, declared):
        special = getattr(self, re.sub("([A-Z])", r"_\1", name).lower(), None)

        async def reply(stream):
            request = await stream.recv_message()
            self.calls[name].append(request)
            if special and declared.cardinality.server_streaming:
                async for message in special(request):
                    await stream.send_message(message)
                return
            message = FIXED.get(name) if special is None else await special(request)
            await stream.send_message(declared.reply_type() if message is None else message)

        return reply

    async def _app_get_logs(self, _):
        sent, over = 0, False
        while not over:
            over = self._over.is_set() or bool(self.calls["AppClientDisconnect"])
            text, sent = self._log[sent:].decode(errors="replace"), len(self._log)
            yield api.TaskLogsBatch(entry_id=f"{sent}-0", items=[api.TaskLogs(data=text)])
            await asyncio.sleep(0.05)
        yield api.TaskLogsBatch(app_done=True)

    async def _function_precreate(self, request):
        handle = api.FunctionHandleMetadata(function_name=request.function_name)
        key = f"fu-{request.function_name}"
        return api.FunctionPrecreateResponse(function_id=key, handle_metadata=handle)

    async def _function_create(self, request):
        data = request.function_data
        if request.HasField("function"):
            data.ranked_functions.add(function=request.function)
        function = data.ranked_functions[0].function
        key = f"fu-{function.function_name}"
        self._functions[key] = function
        return api.FunctionCreateResponse(
            function_id=key, function_data=data, handle_metadata=_handle(function)
        )

    async def _function_bind_params(self, request):
        key = request.function_id
        handle = _handle(self._functions[key])
        return api.FunctionBindParamsResponse(bound_function_id=key, handle_metadata=handle)

    async def _function_map(self, request):
        call = f"fc-{len(self.calls['FunctionMap'])}"
        begun = self._begin(call, request.function_id, request.pipelined_inputs)
        return api.FunctionMapResponse(
            function_call_id=call, pipelined_inputs=begun, max_inputs_outstanding=100
        )

    async def _function_put_inputs(self, request):
        begun = self._begin(request.function_call_id, request.function_id, request.inputs)
        return api.FunctionPutInputsResponse(inputs=begun)

    async def _function_get_inputs(self, request):
        one = self._inputs[request.function_id.removeprefix("fu-")]
        return api.FunctionGetInputsResponse(inputs=[one])

    async def _function_put_outputs(self, request):
        for output in request.outputs:
            self._end(output.input_id, output.result, output.data_format)

    async def _function_get_outputs(self, request):
        outputs, seen = self._outputs[request.function_call_id], request.last_entry_id
        seen, until = int(seen.partition("-")[0]), self._loop.time() + request.timeout
        while len(outputs) <= seen and self._loop.time() < until and not self._over.is_set():
            await asyncio.sleep(0.02)
        return api.FunctionGetOutputsResponse(
            outputs=list(outputs.values())[seen:], last_entry_id=f"{len(outputs)}-0"
        )

    async def _volume_commit(self, _):
        if len(self.calls["VolumeCommit"]) == self.preempt_at:
            self.containers[-1].send_signal(signal.SIGINT)

    async def _volume_reload(self, _):
        for container in self.containers:
            opened = Path(f"/proc/{container.pid}/fd")
            if container.returncode is None and any(
                link.resolve().is_relative_to(self.volume) for link in opened.glob("*")
            ):
                message = "there are open files preventing the operation"
                raise GRPCError(Status.FAILED_PRECONDITION, message)

    def _begin(self, call, function_id, items):
        begun = []
        for item in items:
            key = f"in-{len(self._inputs)}"
            self._inputs[key] = api.FunctionGetInputsItem(
                input_id=key, input=item.input, function_call_id=call, function_map_idx=item.idx
            )
            self._tasks.add(self._loop.create_task(self._run(key, self._functions[function_id])))
            begun.append(api.FunctionPutInputsResponseItem(idx=item.idx, input_id=key))
        return begun

    def _end(self, key, result, data_format):
        one = self._inputs[key]
        self._outputs[one.function_call_id][key] = api.FunctionGetOutputsItem(
            input_id=key, idx=one.function_map_idx, result=result, data_format=data_format
        )

    async def _run(self, key, function):
        if function.function_name in self.answers:
            answer = pickle.dumps(self.answers[function.function_name])
            result = api.GenericResult(status=SUCCESS.status, data=answer)
            self._end(key, result, api.DATA_FORMAT_PICKLE)
            return
        outputs = self._outputs[self._inputs[key].function_call_id]
        for _ in range(3):
            if key not in outputs and not self._over.is_set():
                await self._contain(key, function)
        if key not in outputs:
            status = api.GenericResult.GENERIC_STATUS_FAILURE
            self._end(key, api.GenericResult(status=status, exception="no result"), 0)

    async def _contain(self, key, function):
        layout = api.AppLayout(
            function_ids={one.function_name: key for key, one in self._functions.items()},
            objects=[
                *(api.Object(object_id=one.object_id) for one in function.object_dependencies),
                api.Object(object_id="vo-1", volume_metadata=api.VolumeMetadata()),
                *(
                    api.Object(object_id=key, function_handle_metadata=_handle(one))
                    for key, one in self._functions.items()
                ),
            ],
        )
        arguments = self.volume / f"{key}.arguments"
        arguments.write_bytes(
            api.ContainerArguments(
                task_id=f"ta-{len(self.containers)}",
                function_id=f"fu-{key}",
                app_id="ap-1",
                function_def=function,
                app_layout=layout,
            ).SerializeToString()
        )
        environment = {name: os.environ[name] for name in os.environ if name[:5] != "MODAL"} | {
            "MODAL_IS_REMOTE": "1",
            "MODAL_SERVER_URL": self.url,
            "MODAL_CONTAINER_ARGUMENTS_PATH": str(arguments),
            "XDG_CACHE_HOME": str(self.volume / "cache"),
            **self.environment,
        }
        container = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CONTAINER, self.volume),
            env=environment,
            cwd=Path(__file__).parents[1],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self.containers.append(container)
        while written := await container.stdout.read(4096):
            self._log += written
        await container.wait()


def _handle(function):
    return api.FunctionHandleMetadata(
        function_name=function.function_name, function_type=function.function_type
    )
