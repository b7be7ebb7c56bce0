// Brickwork: two-qubit blocks on the pairs (0,1), (2,3), ..., then on (1,2), (3,4), ..., after an RY encoding.
//
// A block is RY and RZ on both qubits, then CZ. A layer is one row of either kind of pair, in turn.
//
// Source: Cerezo, Sone, Volkoff, Cincio, Coles, Nat. Commun. 12, 1791 (2021), arXiv 2001.00550, alternating layered ansatz.
OPENQASM 3.0;
include "stdgates.inc";

const int n = 4;
const int layers = 4;
pragma qlazy.require n >= 2
// Pairs of the rows that start at qubit 0 and at qubit 1, and blocks in all.
const int even = n / 2;
const int odd = (n - 1) / 2;
const int blocks = (layers + 1) / 2 * even + layers / 2 * odd;

pragma qlazy.observable Z q[0]

@qlazy.data
input array[float[64], n] features;
input array[float[64], blocks, 4] theta;

qubit[n] q;

for int k in [0:n-1] { ry(features[k]) q[k]; }

int b = 0;
for int l in [0:layers-1] {
  for int k in [l % 2 : 2 : n - 2] {
    ry(theta[b, 0]) q[k];
    rz(theta[b, 1]) q[k];
    ry(theta[b, 2]) q[k+1];
    rz(theta[b, 3]) q[k+1];
    cz q[k], q[k+1];
    b += 1;
  }
}
