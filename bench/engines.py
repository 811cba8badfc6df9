# SPDX-License-Identifier: Apache-2.0
"""What bench/speed_worker.py times: every engine loads a network for inputs of one shape and hands out, for each input, a
function that runs it and one that looks at the outputs. Each takes the shortest way its interface has from an input that
lies in memory to outputs that lie in memory, so that what Python costs is small and alike (1 to 3 us)."""
import ctypes, functools, pathlib


class OnnxRuntime:
    """Inputs are bound beforehand: 5 us less than session.run() with a dictionary."""
    def __init__(self, job):
        import onnxruntime
        self.module = onnxruntime

    def load(self, path, threads, shape):
        options = self.module.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
        self.session = self.module.InferenceSession(path, options, providers=['CPUExecutionProvider'])

    def call(self, x):
        binding = self.session.io_binding()
        binding.bind_cpu_input(self.session.get_inputs()[0].name, x)
        for output in self.session.get_outputs():
            binding.bind_output(output.name, 'cpu')
        return functools.partial(self.session.run_with_iobinding, binding), binding.copy_outputs_to_cpu

    def about(self):
        return {}


class OpenVino:
    """One request per input, each with its tensor set beforehand: 13 us less than compiled_model(x)."""
    def __init__(self, job):
        import openvino
        self.module, self.precision = openvino, job.get('precision')

    def load(self, path, threads, shape):
        core = self.module.Core()
        model = core.read_model(path)
        model.reshape(shape)
        options = {'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_NUM_THREADS': threads, 'NUM_STREAMS': 1}
        if self.precision:
            options['INFERENCE_PRECISION_HINT'] = self.precision
        self.compiled = core.compile_model(model, 'CPU', options)

    def call(self, x):
        request = self.compiled.create_infer_request()
        request.set_input_tensor(self.module.Tensor(x, shared_memory=True))
        return (functools.partial(request.infer, share_outputs=True),
                lambda: [request.get_output_tensor(i).data for i in range(len(self.compiled.outputs))])

    def about(self):
        return {'precision': str(self.compiled.get_property('INFERENCE_PRECISION_HINT').to_string())}


# ---- octet through its C interface; structs end in spare room, so that a library with newer members fits ----

SPARE, MAX_RANK, F32 = 64, 8, 1


class Error(ctypes.Structure):
    _fields_ = [('status', ctypes.c_int), ('file', ctypes.c_char * 192), ('node', ctypes.c_char * 96),
                ('field', ctypes.c_char * 48), ('text', ctypes.c_char * 256), ('spare', ctypes.c_uint64 * SPARE)]


class Tensor(ctypes.Structure):
    _fields_ = [('dtype', ctypes.c_int), ('rank', ctypes.c_int), ('dims', ctypes.c_int64 * MAX_RANK),
                ('data', ctypes.c_void_p), ('qparams', ctypes.c_void_p)]


class PlanOptions(ctypes.Structure):
    _fields_ = [('engines', ctypes.c_char_p), ('threads', ctypes.c_int), ('batch', ctypes.c_int64),
                ('inputs', ctypes.POINTER(Tensor)), ('spare', ctypes.c_uint64 * SPARE)]


class StepInfo(ctypes.Structure):
    _fields_ = [('node', ctypes.c_char_p), ('op', ctypes.c_char_p), ('engine', ctypes.c_char_p),
                ('spare', ctypes.c_uint64 * SPARE)]


STAGE_FUSED = 1


class Octet:
    def __init__(self, job):
        self.lib, self.error = ctypes.CDLL(str(pathlib.Path(job['library']))), Error()
        pointer = ctypes.c_void_p
        self.lib.octet_run.argtypes = [pointer, ctypes.POINTER(Tensor), ctypes.POINTER(Tensor), ctypes.POINTER(Error)]
        self.lib.octet_graph_output_count.argtypes, self.lib.octet_graph_output_count.restype = [pointer], ctypes.c_size_t
        self.lib.octet_plan_step_count.argtypes, self.lib.octet_plan_step_count.restype = [pointer], ctypes.c_size_t
        self.lib.octet_plan_step.argtypes, self.lib.octet_plan_step.restype = [pointer, ctypes.c_size_t], StepInfo
        self.lib.octet_cpu_features.restype = ctypes.c_char_p

    def check(self, status):
        if status:
            parts = [self.error.file, self.error.node, self.error.field, self.error.text]
            raise RuntimeError(': '.join(p.decode(errors='replace') for p in parts if p))

    def load(self, path, threads, shape):
        lib, error = self.lib, ctypes.byref(self.error)
        self.graph, self.plan, self.workspace = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        self.check(lib.octet_graph_load(ctypes.byref(self.graph), path.encode(), error))
        if lib.octet_graph_stage(self.graph) < STAGE_FUSED:
            self.check(lib.octet_fuse(self.graph, error))
        self.input = Tensor(F32, len(shape), (ctypes.c_int64 * MAX_RANK)(*shape))
        options = PlanOptions(threads=threads, inputs=ctypes.pointer(self.input))
        self.check(lib.octet_plan_create(ctypes.byref(self.plan), self.graph, ctypes.byref(options), error))
        self.check(lib.octet_workspace_create(ctypes.byref(self.workspace), self.plan, error))
        self.outputs = (Tensor * lib.octet_graph_output_count(self.graph))()

    def call(self, x):
        tensor = Tensor(F32, x.ndim, (ctypes.c_int64 * MAX_RANK)(*x.shape), x.ctypes.data)
        run, check = self.lib.octet_run, self.check
        words = self.workspace, ctypes.byref(tensor), self.outputs, ctypes.byref(self.error)
        return lambda: check(run(*words)), self.look

    def look(self):
        import numpy as np
        def view(t):
            if t.dtype != F32:
                raise RuntimeError(f'an output is not float but type {t.dtype}')
            shape = tuple(t.dims[:t.rank])
            return np.ctypeslib.as_array(ctypes.cast(t.data, ctypes.POINTER(ctypes.c_float)), shape)
        return [view(t) for t in self.outputs]

    def about(self):
        steps = [self.lib.octet_plan_step(self.plan, i).engine.decode()
                 for i in range(self.lib.octet_plan_step_count(self.plan))]
        return {'sets': self.lib.octet_cpu_features().decode(), 'steps': {e: steps.count(e) for e in sorted(set(steps))}}


ENGINES = {'ort': OnnxRuntime, 'openvino': OpenVino, 'octet': Octet}
