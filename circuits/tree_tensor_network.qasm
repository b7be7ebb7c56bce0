// Tree tensor network: blocks merge neighbouring qubits pairwise, level by level, down to one.
//
// A block is RY on both qubits, then CNOT onto the one that stays. Works for any n, with n - 1 blocks of their own weights.
//
// Source: Grant et al., npj Quantum Inf. 4, 65 (2018), arXiv 1804.03680.
OPENQASM 3.0;
include "stdgates.inc";

const int n = 4;
pragma qlazy.require n >= 2
const int levels = int(ceiling(log(n) / log(2) - 1e-9));

pragma qlazy.observable Z q[0]

@qlazy.data
input array[float[64], n] features;
input array[float[64], n - 1, 2] theta;
input float[64] last;

qubit[n] q;

for int k in [0:n-1] { ry(features[k]) q[k]; }

int b = 0;
for int l in [0:levels-1] {
  int stride = 1 << l;
  for int k in [0 : 2 * stride : n - 1 - stride] {
    ry(theta[b, 0]) q[k];
    ry(theta[b, 1]) q[k + stride];
    cx q[k + stride], q[k];
    b += 1;
  }
}
ry(last) q[0];
