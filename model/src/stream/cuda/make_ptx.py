"""Compiles trunk.cu to trunk.ptx, which is committed: `python3 model/src/stream/cuda/make_ptx.py`.

Fetches NVIDIA's compiler (NVRTC 11.8, 23 MB) with pip into a temporary folder. Needs Linux, but neither a GPU nor a
driver. Run it after every change of trunk.cu; a test compares the hash on the first line of trunk.ptx.
"""

import ctypes
import pathlib
import subprocess
import sys
import tempfile

COMPILER = "nvidia-cuda-nvrtc-cu11==11.8.89"
# Code for every GPU since Pascal. Nothing may be fused or flushed, as the CPU does neither.
OPTIONS = ["--gpu-architecture=compute_60", "--fmad=false", "--ftz=false", "--prec-div=true"]
FOLDER = pathlib.Path(__file__).parent


def fnv1a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def compile_ptx(library: ctypes.CDLL, source: bytes) -> bytes:
    def check(code: int) -> None:
        if code != 0:
            sys.exit(f"the compiler failed with {code}")

    program = ctypes.c_void_p()
    check(library.nvrtcCreateProgram(ctypes.byref(program), source, b"trunk.cu", 0, None, None))
    options = (ctypes.c_char_p * len(OPTIONS))(*(option.encode() for option in OPTIONS))
    code = library.nvrtcCompileProgram(program, len(OPTIONS), options)
    size = ctypes.c_size_t()
    check(library.nvrtcGetProgramLogSize(program, ctypes.byref(size)))
    log = ctypes.create_string_buffer(size.value)
    check(library.nvrtcGetProgramLog(program, log))
    print(log.value.decode(), end="")
    check(code)
    check(library.nvrtcGetPTXSize(program, ctypes.byref(size)))
    ptx = ctypes.create_string_buffer(size.value)
    check(library.nvrtcGetPTX(program, ptx))
    return ptx.value


with tempfile.TemporaryDirectory() as folder:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, COMPILER]
    subprocess.run(pip, check=True)
    libraries = sorted(pathlib.Path(folder).rglob("libnvrtc.so.*"))
    library = ctypes.CDLL(str(next(path for path in libraries if "alt" not in path.name)))
    source = (FOLDER / "trunk.cu").read_bytes()
    ptx = compile_ptx(library, source)
(FOLDER / "trunk.ptx").write_bytes(f"// Made by make_ptx.py from trunk.cu, fnv1a {fnv1a(source):016x}.\n".encode() + ptx)
