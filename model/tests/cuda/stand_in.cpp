// Stands in for NVIDIA's driver in tests: a libcuda.so.1 that runs the kernels' source on the CPU.
//
// As in the driver, a context is current on a thread, and work in a stream is done when it is synchronised. New memory
// holds NaN. Environment:
//   STAND_IN_FAIL="cuX@3=700"  the third call of cuX, and each after it, fails with 700
//   STAND_IN_VERSION, STAND_IN_DEVICES, STAND_IN_CAPABILITY  what the driver says of itself (12040, 1, 60)
//   STAND_IN_ORDER             selects the order in which blocks and threads run
//   STAND_IN_LOG               a file that gets, at the end of the process, how often each function and kernel ran

#include "trunk.cu"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <tuple>
#include <ucontext.h>
#include <utility>
#include <vector>

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

namespace shim {
static const size_t STACK_BYTES = 16384;
struct Fiber {
    ucontext_t context;
    Position position;
    std::unique_ptr<char[]> stack{new char[STACK_BYTES]};
    bool done = false;
};
static Fiber *running;
static ucontext_t scheduler;
static std::map<int, std::vector<unsigned char>> block_memory;
static std::function<void()> body;

Position position() { return running->position; }
void barrier() { swapcontext(&running->context, &scheduler); }
void *shared(int line, unsigned long bytes) {
    auto &memory = block_memory[line];
    if (memory.empty()) memory.assign(bytes, 0xff); // NaN until it is written
    return memory.data();
}
static void run_fiber() {
    body();
    running->done = true;
    barrier();
}

// Blocks run one after the other, their threads in a new order after each barrier.
static void launch(u32 blocks, u32 threads, const std::function<void()> &kernel) {
    static std::mt19937 order(number("STAND_IN_ORDER", 0));
    body = kernel;
    std::vector<u32> block_order(blocks);
    for (u32 b = 0; b < blocks; b++) block_order[b] = b;
    std::shuffle(block_order.begin(), block_order.end(), order);
    for (u32 block : block_order) {
        block_memory.clear();
        std::vector<std::unique_ptr<Fiber>> fibers;
        for (u32 t = 0; t < threads; t++) {
            auto fiber = std::make_unique<Fiber>();
            fiber->position = {t, block, threads};
            getcontext(&fiber->context);
            fiber->context.uc_stack.ss_sp = fiber->stack.get();
            fiber->context.uc_stack.ss_size = STACK_BYTES;
            fiber->context.uc_link = nullptr;
            makecontext(&fiber->context, run_fiber, 0);
            fibers.push_back(std::move(fiber));
        }
        for (bool any = true; any;) {
            any = false;
            std::shuffle(fibers.begin(), fibers.end(), order);
            for (auto &fiber : fibers) {
                if (fiber->done) continue;
                running = fiber.get();
                swapcontext(&scheduler, &fiber->context);
                any = any || !fiber->done;
            }
        }
    }
}
} // namespace shim

// One caller at a time; the driver too is safe to call from any thread.
static std::recursive_mutex lock;
static std::map<std::string, int> counts;
static thread_local void *current_context;

static int called(const char *name, bool needs_context) {
    int count = ++counts[name];
    int &failed = counts[std::string("failed ") + name];
    if (needs_context && !current_context) return ++failed, 201;
    const char *fail = getenv("STAND_IN_FAIL");
    size_t len = strlen(name);
    if (!fail || strncmp(fail, name, len) != 0 || fail[len] != '@') return 0;
    char *code;
    long from = strtol(fail + len + 1, &code, 10);
    return count >= from ? ++failed, atoi(code + 1) : 0;
}
struct Log {
    ~Log() {
        if (const char *path = getenv("STAND_IN_LOG")) {
            std::ofstream file(path);
            for (auto &[name, count] : counts) file << name << ' ' << count << '\n';
        }
    }
} log_at_exit;

#define API(name, ...) extern "C" int name(__VA_ARGS__)
#define ENTER(needs_context)                                 \
    std::lock_guard<std::recursive_mutex> guard(lock);       \
    if (int code = called(__func__, needs_context)) return code

using Work = std::function<void()>;
struct Stream {
    std::vector<Work> waiting, captured;
    bool capturing = false;
    void add(Work work) { (capturing ? captured : waiting).push_back(std::move(work)); }
};

// The arguments are copied at the launch, as the driver does.
template <class... A, size_t... I> static Work bound(void (*kernel)(A...), void **arguments, std::index_sequence<I...>) {
    auto copies = std::make_tuple(*(A *)arguments[I]...);
    return [=] { std::apply(kernel, copies); };
}
struct Kernel {
    std::string name;
    std::function<Work(void **)> bind;
};
template <class... A> static Kernel kernel(const char *name, void (*f)(A...)) {
    return {name, [=](void **arguments) { return bound(f, arguments, std::index_sequence_for<A...>()); }};
}
static std::map<std::string, Kernel> kernels = {{"look_up", kernel("look_up", look_up)}, {"lstm", kernel("lstm", lstm)}};

// Copies without a stream. The driver may return before they have arrived.
static Stream without_stream;
static void arrive() {
    auto waiting = std::move(without_stream.waiting);
    without_stream.waiting.clear();
    for (auto &work : waiting) work();
}

static void *fresh(size_t bytes) {
    void *memory = malloc(bytes);
    memset(memory, 0xff, bytes);
    return memory;
}

API(cuInit, unsigned) { ENTER(false); return 0; }
API(cuDriverGetVersion, int *version) { ENTER(false); *version = number("STAND_IN_VERSION", 12040); return 0; }
API(cuDeviceGetCount, int *count) { ENTER(false); *count = number("STAND_IN_DEVICES", 1); return 0; }
API(cuDeviceGet, int *device, int ordinal) { ENTER(false); *device = ordinal; return 0; }
API(cuDeviceGetName, char *name, int len, int) { ENTER(false); snprintf(name, len, "Stand-in"); return 0; }
API(cuDeviceGetAttribute, int *value, int attribute, int) {
    ENTER(false);
    long capability = number("STAND_IN_CAPABILITY", 60);
    *value = attribute == 75 ? capability / 10 : attribute == 76 ? capability % 10 : -1;
    return 0;
}
API(cuDevicePrimaryCtxRetain, void **context, int) { ENTER(false); *context = (void *)8; return 0; }
API(cuDevicePrimaryCtxRelease_v2, int) { ENTER(false); return 0; }
API(cuCtxSetCurrent, void *context) { ENTER(false); current_context = context; return 0; }
API(cuModuleLoadData, void **module, const void *image) {
    ENTER(true);
    *module = (void *)image;
    return strstr((const char *)image, ".target sm_60") ? 0 : 218;
}
API(cuModuleUnload, void *) { ENTER(true); return 0; }
API(cuModuleGetFunction, void **function, void *, const char *name) {
    ENTER(true);
    auto found = kernels.find(name);
    if (found == kernels.end()) return 500;
    *function = &found->second;
    return 0;
}
API(cuMemAlloc_v2, void **memory, size_t bytes) { ENTER(true); *memory = fresh(bytes); return 0; }
API(cuMemFree_v2, void *memory) { ENTER(true); arrive(); free(memory); return 0; }
API(cuMemHostAlloc, void **memory, size_t bytes, unsigned) { ENTER(true); *memory = fresh(bytes); return 0; }
API(cuMemFreeHost, void *memory) { ENTER(true); free(memory); return 0; }
API(cuMemcpyHtoD_v2, void *to, const void *from, size_t bytes) {
    ENTER(true);
    std::vector<char> copy((const char *)from, (const char *)from + bytes);
    without_stream.add([=] { memcpy(to, copy.data(), bytes); });
    return 0;
}
API(cuMemcpyHtoDAsync_v2, void *to, const void *from, size_t bytes, Stream *stream) {
    ENTER(true);
    stream->add([=] { memcpy(to, from, bytes); });
    return 0;
}
API(cuMemcpyDtoHAsync_v2, void *to, void *from, size_t bytes, Stream *stream) {
    ENTER(true);
    stream->add([=] { memcpy(to, from, bytes); });
    return 0;
}
API(cuStreamCreate, Stream **stream, unsigned) { ENTER(true); *stream = new Stream; return 0; }
API(cuStreamDestroy_v2, Stream *stream) { ENTER(true); delete stream; return 0; }
API(cuStreamSynchronize, Stream *stream) {
    ENTER(true);
    if (!stream) return arrive(), 0;
    if (stream->capturing) return 900;
    auto waiting = std::move(stream->waiting);
    stream->waiting.clear();
    for (auto &work : waiting) work();
    return 0;
}
API(cuLaunchKernel, Kernel *kernel, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
    unsigned block_y, unsigned block_z, unsigned shared_bytes, Stream *stream, void **arguments, void **extra) {
    ENTER(true);
    if (grid_y * grid_z * block_y * block_z != 1 || shared_bytes || extra) return 1;
    Work work = kernel->bind(arguments);
    stream->add([=] {
        ++counts["kernel " + kernel->name];
        shim::launch(grid_x, block_x, work);
    });
    return 0;
}
API(cuStreamBeginCapture_v2, Stream *stream, int) { ENTER(true); stream->capturing = true; return 0; }
API(cuStreamEndCapture, Stream *stream, std::vector<Work> **graph) {
    ENTER(true);
    stream->capturing = false;
    *graph = new std::vector<Work>(std::move(stream->captured));
    stream->captured.clear();
    return 0;
}
API(cuGraphInstantiateWithFlags, std::vector<Work> **executable, std::vector<Work> *graph, uint64_t) {
    ENTER(true);
    *executable = new std::vector<Work>(*graph);
    return 0;
}
API(cuGraphLaunch, std::vector<Work> *executable, Stream *stream) {
    ENTER(true);
    for (auto &work : *executable) stream->add(work);
    return 0;
}
API(cuGraphExecDestroy, std::vector<Work> *executable) { ENTER(true); delete executable; return 0; }
API(cuGraphDestroy, std::vector<Work> *graph) { ENTER(true); delete graph; return 0; }

// exp, sigmoid and tanh of x, (count), as the kernels compute them, side by side: (count, 3).
extern "C" void stand_in_activations(const float *x, u32 count, float *out) {
    for (u32 n = 0; n < count; n++) {
        out[3 * n] = exp_(x[n]);
        out[3 * n + 1] = sigmoid_(x[n]);
        out[3 * n + 2] = tanh_(x[n]);
    }
}
