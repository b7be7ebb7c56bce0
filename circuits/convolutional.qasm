// Quantum convolutional network: convolutions with shared weights on neighbouring qubits, and pooling that keeps every second.
//
// Pooling is a controlled rotation from the qubit given up onto the one kept: the measured pooling of the source, deferred.
// Works for any n; the number of levels is log2(n), rounded up.
//
// Source: Cong, Choi, Lukin, Nat. Phys. 15, 1273 (2019), arXiv 1810.03787.
OPENQASM 3.0;
include "stdgates.inc";

const int n = 4;
pragma qlazy.require n >= 2
const int levels = int(ceiling(log(n) / log(2) - 1e-9));

pragma qlazy.observable Z q[0]

@qlazy.data
input array[float[64], n] features;
input array[float[64], levels, 6] convolution;
input array[float[64], levels, 3] pooling;

qubit[n] q;

gate convolve(a, b, c, d, e, f) s, t {
  ry(a) s;
  rz(b) s;
  ry(c) t;
  rz(d) t;
  cx s, t;
  ry(e) s;
  ry(f) t;
}

gate pool(a, b, c) given, kept {
  crz(a) given, kept;
  crx(b) given, kept;
  negctrl @ rx(c) given, kept;
}

for int k in [0:n-1] { ry(features[k]) q[k]; }

for int l in [0:levels-1] {
  // The qubits still in use are the multiples of the stride.
  int stride = 1 << l;
  for int start in {0, stride} {
    for int k in [start : 2 * stride : n - 1 - stride] {
      convolve(convolution[l, 0], convolution[l, 1], convolution[l, 2],
               convolution[l, 3], convolution[l, 4], convolution[l, 5]) q[k], q[k + stride];
    }
  }
  for int k in [0 : 2 * stride : n - 1 - stride] {
    pool(pooling[l, 0], pooling[l, 1], pooling[l, 2]) q[k + stride], q[k];
  }
}
