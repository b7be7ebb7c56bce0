// Local light cones, n >= 3: two layers of RX with rings of CZ, the output is sum_k Z_k / sqrt(n), known in closed form.
//
// <Z_k> = cos x_k cos a_k cos b_k - cos x_{k-1} cos x_k cos x_{k+1} cos a_{k-1} cos a_{k+1} sin a_k sin b_k.
// The kernel freezes as the number of qubits grows.
//
// Source: Abedi, Beigi, Taghavi, Quantum (2023), arXiv 2202.08232.
OPENQASM 3.0;
include "stdgates.inc";

const int n = 4;
pragma qlazy.require n >= 3

pragma qlazy.observable sum(k in [0:n-1]) 1/sqrt(n) Z q[k]

@qlazy.data
input array[float[64], n] features;
input array[float[64], n] a;
input array[float[64], n] b;

qubit[n] q;

for int k in [0:n-1] { ry(features[k]) q[k]; }
for int k in [0:n-1] { rx(a[k]) q[k]; }
for int k in [0:n-1] { cz q[k], q[(k+1) % n]; }
for int k in [0:n-1] { rx(b[k]) q[k]; }
for int k in [0:n-1] { cz q[k], q[(k+1) % n]; }
