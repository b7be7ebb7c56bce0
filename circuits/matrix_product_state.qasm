// Matrix product state: one block after the other along the chain, read out at its end.
//
// Source: Huggins, Patil, Mitchell, Whaley, Stoudenmire, Quantum Sci. Technol. 4, 024001 (2019), arXiv 1803.11537.
OPENQASM 3.0;
include "stdgates.inc";

const int n = 4;
pragma qlazy.require n >= 2

pragma qlazy.observable Z q[n-1]

@qlazy.data
input array[float[64], n] features;
input array[float[64], n - 1, 4] theta;

qubit[n] q;

for int k in [0:n-1] { ry(features[k]) q[k]; }

for int k in [0:n-2] {
  ry(theta[k, 0]) q[k];
  rz(theta[k, 1]) q[k];
  ry(theta[k, 2]) q[k+1];
  rz(theta[k, 3]) q[k+1];
  cx q[k], q[k+1];
}
