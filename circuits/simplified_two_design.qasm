// Simplified two-design: a row of RY, then layers of CZ and RY on both qubits of alternating pairs, after an RY encoding.
//
// Its cost gradients show barren plateaus that depend on how local the observable is.
//
// Source: Cerezo, Sone, Volkoff, Cincio, Coles, Nat. Commun. 12, 1791 (2021), arXiv 2001.00550.
OPENQASM 3.0;
include "stdgates.inc";

const int n = 4;
const int layers = 3;
pragma qlazy.require n >= 2
// Pairs of a layer: those that start at qubit 0, then those that start at qubit 1.
const int pairs = n - 1;

pragma qlazy.observable Z q[0]

@qlazy.data
input array[float[64], n] features;
input array[float[64], n] first;
input array[float[64], layers, pairs, 2] theta;

qubit[n] q;

for int k in [0:n-1] { ry(features[k]) q[k]; }
for int k in [0:n-1] { ry(first[k]) q[k]; }

for int l in [0:layers-1] {
  int b = 0;
  for int start in {0, 1} {
    for int k in [start : 2 : n - 2] {
      cz q[k], q[k+1];
      ry(theta[l, b, 0]) q[k];
      ry(theta[l, b, 1]) q[k+1];
      b += 1;
    }
  }
}
