// A GHZ state in constant depth: neighbours are compared by measurement, and flipped where they differ.
//
// The output is <X X ... X>, which is 1 for angles of pi/2, and in closed form the product of sin(theta[k]).
//
// Source: Piroli, Styliaris, Cirac 2021, arXiv 2103.13367.
OPENQASM 3.0;
include "stdgates.inc";

const int n = 3;
pragma qlazy.require n >= 2

pragma qlazy.observable Z q[0]

input array[float[64], n] theta;
qubit[n] q;
qubit[n-1] between;
bit[n-1] differ;

for int k in [0:n-1] { ry(theta[k]) q[k]; }
for int k in [0:n-2] {
  cx q[k], between[k];
  cx q[k+1], between[k];
}
differ = measure between;
bit flip = 0;
for int k in [0:n-2] {
  flip = flip ^ differ[k];
  if (flip) { x q[k+1]; }
}

h q;
for int k in [1:n-1] { cx q[k], q[0]; }
