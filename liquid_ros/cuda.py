# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""CUDA source compiled at run time (NVRTC) and launched, through NVIDIA's own bindings."""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any, Iterator, Sequence

import numpy as np

from liquid_ros.errors import DeviceError, InputError
from liquid_ros.files import replacing

KEPT = Path('~/.cache/liquid_ros')  # compiled code, where XDG_CACHE_HOME says nothing else
DIGEST = 32  # bytes before the code that say whether it is whole
MISSING = 'the package cuda-bindings is not installed'


def _checked(answer: Any) -> Any:
    """Return what a call answers behind its status, DeviceError where that is bad."""
    status, *values = answer
    if int(status):
        raise DeviceError(f'got {status.name} from CUDA')
    return values[0] if len(values) == 1 else values or None


def compiled(source: str, architecture: str) -> bytes:
    """
    Return the machine code of a source; what was compiled once is kept in a folder of the user.

    architecture: sm_90 and the like.
    Errors: DeviceError where there is no compiler, or it finds fault with the source.
    """
    try:
        from cuda.bindings import nvrtc
    except ImportError as error:
        raise DeviceError(MISSING) from error
    try:
        version = _checked(nvrtc.nvrtcVersion())
    except RuntimeError as error:  # there is no library
        raise DeviceError(f'NVRTC: {error}') from error
    flags = [f'--gpu-architecture={architecture}', '-default-device', '-w']
    said = '\0'.join([source, *flags, *map(str, version)])
    folder = Path(os.environ.get('XDG_CACHE_HOME', '') or KEPT.parent, KEPT.name)
    try:
        folder = folder.expanduser()
    except RuntimeError:  # there is no home
        return _compile(nvrtc, source, flags)
    kept = folder / f'{hashlib.sha256(said.encode()).hexdigest()}.cubin'
    try:
        content = kept.read_bytes()
        digest, code = content[:DIGEST], content[DIGEST:]
        if hashlib.sha256(code).digest() == digest:  # the driver trusts what it is given
            return code
    except OSError:  # not there
        pass
    found = _compile(nvrtc, source, flags)
    _keep(kept, hashlib.sha256(found).digest() + found)
    return found


def _keep(path: Path, content: bytes) -> None:
    """Write a file as a whole, or none: then it is compiled again the next time."""
    with contextlib.suppress(OSError, InputError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as fresh:
            fresh.write_bytes(content)


def _compile(nvrtc: Any, source: str, flags: Sequence[str]) -> bytes:
    program = _checked(nvrtc.nvrtcCreateProgram(source.encode(), b'step.cu', 0, [], []))
    status, = nvrtc.nvrtcCompileProgram(program, len(flags), [flag.encode() for flag in flags])
    if int(status):
        log = bytearray(_checked(nvrtc.nvrtcGetProgramLogSize(program)))
        _checked(nvrtc.nvrtcGetProgramLog(program, log))
        raise DeviceError(f'NVRTC: {log.decode().strip()}')
    code = bytearray(_checked(nvrtc.nvrtcGetCUBINSize(program)))
    _checked(nvrtc.nvrtcGetCUBIN(program, code))
    _checked(nvrtc.nvrtcDestroyProgram(program))
    return bytes(code)


class Kernel:
    """A kernel of a torch device."""

    def __init__(self, source: str, name: str, shared_bytes: int, threads: int, device: Any,
                 blocks: int = 1) -> None:
        """
        Compile it; shared_bytes: of a block, of which an SM has so many blocks at once.

        Errors: DeviceError.
        """
        import torch
        try:
            from cuda.bindings import driver
        except ImportError as error:
            raise DeviceError(MISSING) from error
        self.driver, self.threads, self.shared_bytes = driver, threads, shared_bytes
        properties = torch.cuda.get_device_properties(device)
        with torch.cuda.device(device):
            torch.cuda.synchronize()  # makes the context
            self._context = _checked(driver.cuCtxGetCurrent())
            code = compiled(source, f'sm_{properties.major}{properties.minor}')
            self._module = _checked(driver.cuModuleLoadData(code))
        self.function = _checked(driver.cuModuleGetFunction(self._module, name.encode()))
        # what is left of an SM's memory is its cache
        share = 1 + 100 * blocks * (shared_bytes + 1024) // (
            properties.shared_memory_per_multiprocessor)
        kind = driver.CUfunction_attribute
        for attribute, value in (
                (kind.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared_bytes),
                (kind.CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, min(100, share))):
            _checked(driver.cuFuncSetAttribute(self.function, attribute, value))

    @contextlib.contextmanager
    def at_home(self) -> Iterator[None]:
        """Have the device's context as this thread's, which may be of another device or none."""
        before = _checked(self.driver.cuCtxGetCurrent())
        if int(before) == int(self._context):
            yield
            return
        _checked(self.driver.cuCtxSetCurrent(self._context))
        try:
            yield
        finally:
            _checked(self.driver.cuCtxSetCurrent(before))

    def launch(self, stream: int, blocks: int, *arguments: int) -> None:
        """Launch it on a stream of torch's; arguments: whole numbers and pointers of 8 bytes."""
        Launch(self, *arguments)(stream, blocks)


class Launch:
    """A kernel and its arguments, whole numbers and pointers of 8 bytes; values can change."""

    MOST_BLOCKS = 2**30

    def __init__(self, kernel: Kernel, *values: int) -> None:
        """Lay the arguments out as the driver takes them."""
        self.values = np.array(values, np.uint64)
        self._at = (self.values.ctypes.data + 8 * np.arange(len(values))).astype(np.uint64)
        self._kernel, self._pointers = kernel, int(self._at.ctypes.data)

    def __call__(self, stream: int, blocks: int) -> None:
        """Launch it on a stream of torch's; wait() waits until that is through."""
        k = self._kernel
        with k.at_home():
            _checked(k.driver.cuLaunchKernel(
                k.function, min(blocks, self.MOST_BLOCKS), 1, 1, k.threads, 1, 1, k.shared_bytes,
                k.driver.CUstream(stream), self._pointers, 0))

    def wait(self, stream: int) -> None:
        """Wait until all that was launched on a stream is done."""
        k = self._kernel
        with k.at_home():
            _checked(k.driver.cuStreamSynchronize(k.driver.CUstream(stream)))
