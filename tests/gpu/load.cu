// Multiply-adds on every core for argv[1] seconds, for machines without a CUDA build of PyTorch.
#include <chrono>
#include <cstdlib>

__global__ void work(float *out, int rounds) {
  float a = threadIdx.x * 1e-6f, b = 1.0001f;
  for (int i = 0; i < rounds; i++) a = a * b + 1e-7f;
  out[blockIdx.x * blockDim.x + threadIdx.x] = a;
}

int main(int, char **argv) {
  float *out;
  if (cudaMalloc(&out, 4096 * 256 * sizeof(float))) return 1;
  auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(std::atof(argv[1]));
  while (std::chrono::steady_clock::now() < end) {
    work<<<4096, 256>>>(out, 20000);
    if (cudaDeviceSynchronize()) return 1;
  }
  return 0;
}
