/* A stand-in for NVIDIA's management library, for tests without a GPU.
 *
 * It has the real one's symbols, structs and error codes, as published in NVIDIA's API reference, for the calls that a
 * meter makes. What it tells comes from the text file named by FAKE_NVML, read again whenever it changes, and from the
 * monotonic clock: two processes that load it see one counter. trimwatt.testing.nvml writes the file.
 *
 *   init CODE                      what nvmlInit answers
 *   gpu KEY=VALUE ...              name uuid since watts low wave period offset counter power instant lost back mig util
 *   instance KEY=VALUE ...         gpu id slices
 *   process KEY=VALUE ...          gpu pid util memory instance from until
 *
 * Watts are `watts` all the time, or `watts` and `low` in turn, each for half of `wave` seconds. The counter counts
 * millijoules from `since`, and moves every `period` seconds, shifted by `offset`. counter, power, instant and util hold
 * the code that their call answers. From `lost` until `back` every call for that GPU answers GPU_IS_LOST.
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))
#define MAX_GPUS 16
#define MAX_ROWS 64
/* the driver keeps about this many samples of utilisation, about this far apart */
#define UTIL_KEPT 120
#define UTIL_EVERY_S 0.1

enum { OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6,
       INSUFFICIENT_SIZE = 7, GPU_IS_LOST = 15 };

typedef struct { int index, gpu, made; int id, slices; } Instance;
typedef struct {
  int index;
  char name[96], uuid[96];
  double since, watts, low, wave, period, offset, lost, back;
  int counter, power, instant, util, mig;
} Gpu;
typedef struct { int gpu, util, instance; unsigned pid; double memory, from, until; } Process;

typedef struct { unsigned pid; unsigned long long usedGpuMemory; unsigned gpuInstanceId, computeInstanceId; } ProcessInfo;
typedef struct { unsigned pid; unsigned long long timeStamp; unsigned smUtil, memUtil, encUtil, decUtil; } Sample;
typedef union { double d; unsigned ui; unsigned long ul; unsigned long long ull; long long sll; int si; unsigned short us; } Value;
typedef struct { unsigned fieldId, scopeId; long long timestamp, latencyUsec; unsigned valueType; int nvmlReturn; Value value; } FieldValue;
typedef struct { unsigned multiprocessorCount, sharedCopyEngineCount, sharedDecoderCount, sharedEncoderCount,
                 sharedJpegCount, sharedOfaCount, gpuInstanceSliceCount, computeInstanceSliceCount;
                 unsigned long long memorySizeMB; } Attributes;

static Gpu gpus[MAX_GPUS];
static Instance instances[MAX_ROWS];
static Process processes[MAX_ROWS];
static int n_gpus, n_instances, n_processes, init_code, started;
static struct timespec seen;

static double clock_s(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double number(const char *line, const char *key, double otherwise) {
  char pattern[32];
  snprintf(pattern, sizeof pattern, " %s=", key);
  const char *at = strstr(line, pattern);
  return at ? strtod(at + strlen(pattern), NULL) : otherwise;
}

static void text(const char *line, const char *key, char *into, size_t size) {
  char pattern[32];
  snprintf(pattern, sizeof pattern, " %s=", key);
  const char *at = strstr(line, pattern);
  size_t n = 0;
  if (at)
    for (at += strlen(pattern); *at && *at != ' ' && *at != '\n' && n + 1 < size; at++) into[n++] = *at == '_' ? ' ' : *at;
  into[n] = 0;
}

static void read_gpu(const char *line) {
  Gpu *g = &gpus[n_gpus];
  *g = (Gpu){.index = n_gpus};
  n_gpus++;
  text(line, "name", g->name, sizeof g->name);
  text(line, "uuid", g->uuid, sizeof g->uuid);
  g->since = number(line, "since", 0);
  g->watts = number(line, "watts", 100);
  g->low = number(line, "low", g->watts);
  g->wave = number(line, "wave", 0);
  g->period = number(line, "period", 0.02);
  g->offset = number(line, "offset", 0);
  g->lost = number(line, "lost", INFINITY);
  g->back = number(line, "back", INFINITY);
  g->counter = (int)number(line, "counter", OK);
  g->power = (int)number(line, "power", OK);
  g->instant = (int)number(line, "instant", OK);
  g->util = (int)number(line, "util", OK);
  g->mig = (int)number(line, "mig", 0);
}

static void read_line(const char *line) {
  if (!strncmp(line, "init ", 5)) init_code = atoi(line + 5);
  if (!strncmp(line, "gpu ", 4) && n_gpus < MAX_GPUS) read_gpu(line);
  if (!strncmp(line, "instance ", 9) && n_instances < MAX_ROWS) {
    Instance *i = &instances[n_instances++];
    i->made = 1;
    i->gpu = (int)number(line, "gpu", 0);
    i->id = (int)number(line, "id", 0);
    i->slices = (int)number(line, "slices", 1);
  }
  if (!strncmp(line, "process ", 8) && n_processes < MAX_ROWS) {
    Process *p = &processes[n_processes++];
    p->gpu = (int)number(line, "gpu", 0);
    p->pid = (unsigned)number(line, "pid", 1);
    p->util = (int)number(line, "util", 0);
    p->instance = (int)number(line, "instance", -1);
    p->memory = number(line, "memory", 1 << 20);
    p->from = number(line, "from", -INFINITY);
    p->until = number(line, "until", INFINITY);
  }
}

static void refresh(void) {
  const char *path = getenv("FAKE_NVML");
  struct stat now;
  char line[512];
  if (!path || stat(path, &now)) return;
  if (now.st_mtim.tv_sec == seen.tv_sec && now.st_mtim.tv_nsec == seen.tv_nsec) return;
  FILE *file = fopen(path, "r");
  if (!file) return;
  seen = now.st_mtim;
  n_gpus = n_instances = n_processes = init_code = 0;
  while (fgets(line, sizeof line, file)) read_line(line);
  fclose(file);
}

/* Joules between `since` and t. */
static double joules(const Gpu *g, double t) {
  double s = t - g->since;
  if (s <= 0) return 0;
  if (g->wave <= 0) return s * g->watts;
  double whole = floor(s / g->wave), rest = s - whole * g->wave, half = g->wave / 2;
  return whole * half * (g->watts + g->low) + fmin(rest, half) * g->watts + fmax(0, rest - half) * g->low;
}

static double watts(const Gpu *g, double t) {
  if (g->wave <= 0) return g->watts;
  return fmod(t - g->since, g->wave) < g->wave / 2 ? g->watts : g->low;
}

/* Everything that each call asks first. */
static int asked(const Gpu *g, const void *into) {
  refresh();
  if (!started) return UNINITIALIZED;
  if (g < gpus || g >= gpus + n_gpus || !into) return INVALID_ARGUMENT;
  double now = clock_s(CLOCK_MONOTONIC);
  return now >= g->lost && now < g->back ? GPU_IS_LOST : OK;
}

EXPORT int nvmlInit_v2(void) {
  refresh();
  started += !init_code;
  return init_code;
}

EXPORT int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  return nvmlInit_v2();
}

EXPORT int nvmlShutdown(void) {
  if (!started) return UNINITIALIZED;
  started--;
  return OK;
}

EXPORT const char *nvmlErrorString(int code) {
  switch (code) {
    case 0: return "Success";
    case 1: return "Uninitialized";
    case 2: return "Invalid Argument";
    case 3: return "Not Supported";
    case 4: return "Insufficient Permissions";
    case 6: return "Not Found";
    case 7: return "Insufficient Size";
    case 9: return "Driver Not Loaded";
    case 13: return "Function Not Found";
    case 15: return "GPU is lost";
    case 18: return "Driver/library version mismatch";
    default: return "Unknown Error";
  }
}

EXPORT int nvmlSystemGetDriverVersion(char *into, unsigned size) {
  if (!started) return UNINITIALIZED;
  return snprintf(into, size, "570.00.fake") < (int)size ? OK : INSUFFICIENT_SIZE;
}

EXPORT int nvmlDeviceGetCount_v2(unsigned *count) {
  refresh();
  if (!started) return UNINITIALIZED;
  *count = (unsigned)n_gpus;
  return OK;
}

EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
  refresh();
  if (!started) return UNINITIALIZED;
  if ((int)index >= n_gpus) return INVALID_ARGUMENT;
  *device = &gpus[index];
  return asked(&gpus[index], device);
}

static int copied(const char *from, char *into, unsigned size) {
  if (strlen(from) >= size) return INSUFFICIENT_SIZE;
  strcpy(into, from);
  return OK;
}

EXPORT int nvmlDeviceGetName(void *device, char *into, unsigned size) {
  int code = asked(device, into);
  return code ? code : copied(((Gpu *)device)->name, into, size);
}

EXPORT int nvmlDeviceGetUUID(void *device, char *into, unsigned size) {
  int code = asked(device, into);
  return code ? code : copied(((Gpu *)device)->uuid, into, size);
}

#ifndef NO_ENERGY
EXPORT int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj) {
  Gpu *g = device;
  int code = asked(g, mj);
  if (code || g->counter) return code ? code : g->counter;
  double now = clock_s(CLOCK_MONOTONIC);
  double edge = g->period > 0 ? floor((now - g->offset) / g->period) * g->period + g->offset : now;
  *mj = (unsigned long long)(joules(g, edge) * 1000);
  return OK;
}
#endif

EXPORT int nvmlDeviceGetPowerUsage(void *device, unsigned *mw) {
  Gpu *g = device;
  int code = asked(g, mw);
  if (code || g->power) return code ? code : g->power;
  /* what newer parts give here is the mean of the last second */
  double now = clock_s(CLOCK_MONOTONIC);
  *mw = (unsigned)(1000 * (g->instant ? watts(g, now) : joules(g, now) - joules(g, now - 1)));
  return OK;
}

EXPORT int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *mw) {
  int code = asked(device, mw);
  if (!code) *mw = 400000;
  return code;
}

EXPORT int nvmlDeviceGetFieldValues(void *device, int count, FieldValue *values) {
  Gpu *g = device;
  int code = asked(g, values);
  for (int i = 0; !code && i < count; i++) {
    values[i].timestamp = (long long)(clock_s(CLOCK_REALTIME) * 1e6);
    values[i].nvmlReturn = values[i].fieldId == 186 ? g->instant : NOT_SUPPORTED;
    values[i].valueType = 1;
    values[i].value.ui = (unsigned)(1000 * watts(g, clock_s(CLOCK_MONOTONIC)));
  }
  return code;
}

#ifndef NO_PROCESSES
static int there(const Process *p, const Gpu *g) {
  double now = clock_s(CLOCK_MONOTONIC);
  return p->gpu == g->index && now >= p->from && now < p->until;
}

EXPORT int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, ProcessInfo *infos) {
  Gpu *g = device;
  unsigned found = 0, room = count ? *count : 0;
  int code = asked(g, count);
  if (code) return code;
  for (int i = 0; i < n_processes; i++) {
    Process *p = &processes[i];
    if (!there(p, g)) continue;
    if (infos && found < room)
      infos[found] = (ProcessInfo){p->pid, (unsigned long long)p->memory, (unsigned)p->instance, 0xFFFFFFFF};
    found++;
  }
  *count = found;
  return found > room ? INSUFFICIENT_SIZE : OK;
}

EXPORT int nvmlDeviceGetProcessUtilization(void *device, Sample *samples, unsigned *count, unsigned long long after_us) {
  Gpu *g = device;
  int code = asked(g, count);
  if (code || g->util || g->mig) return code ? code : g->util ? g->util : NOT_SUPPORTED;
  double now = clock_s(CLOCK_REALTIME), shift = now - clock_s(CLOCK_MONOTONIC);
  long last = (long)floor(now / UTIL_EVERY_S), first = (long)floor((double)after_us * 1e-6 / UTIL_EVERY_S + 1e-6) + 1;
  if (first < last - UTIL_KEPT) first = last - UTIL_KEPT;
  unsigned found = 0, room = *count;
  for (long k = first; k <= last; k++)
    for (int i = 0; i < n_processes; i++) {
      Process *p = &processes[i];
      double at = (double)k * UTIL_EVERY_S;
      if (p->gpu != g->index || at - shift < p->from || at - shift >= p->until || !p->util) continue;
      if (samples && found < room)
        samples[found] = (Sample){p->pid, (unsigned long long)llround(at * 1e6), (unsigned)p->util, 1, 0, 0};
      found++;
    }
  *count = found;
  if (!found) return NOT_FOUND;
  return !samples || found > room ? INSUFFICIENT_SIZE : OK;
}
#endif

EXPORT int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending) {
  Gpu *g = device;
  int code = asked(g, current);
  if (code || g->mig < 0) return code ? code : NOT_SUPPORTED;
  *current = *pending = (unsigned)g->mig;
  return OK;
}

EXPORT int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *count) {
  int code = asked(device, count);
  if (!code) *count = ((Gpu *)device)->mig > 0 ? 7 : 0;
  return code;
}

EXPORT int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **instance) {
  Gpu *g = device;
  int code = asked(g, instance);
  if (code || g->mig <= 0) return code ? code : NOT_SUPPORTED;
  for (int i = 0; i < n_instances; i++)
    if (instances[i].gpu == g->index && !index--) {
      *instance = &instances[i];
      return OK;
    }
  return NOT_FOUND;
}

static int is_instance(const Instance *i) { return i >= instances && i < instances + n_instances; }

EXPORT int nvmlDeviceGetGpuInstanceId(void *instance, unsigned *id) {
  if (!is_instance(instance)) return INVALID_ARGUMENT;
  *id = (unsigned)((Instance *)instance)->id;
  return OK;
}

EXPORT int nvmlDeviceGetAttributes_v2(void *instance, Attributes *into) {
  if (!is_instance(instance)) return NOT_SUPPORTED;
  memset(into, 0, sizeof *into);
  into->gpuInstanceSliceCount = (unsigned)((Instance *)instance)->slices;
  return OK;
}
