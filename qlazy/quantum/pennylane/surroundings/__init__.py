"""What a function reads beside its arguments: closure cells, globals it names, and those of the functions it calls.

A circuit that was traced once holds what these were then. They are looked at before every call, which must cost next
to nothing: numbers, strings, arrays and tensors by value, all else by identity. So the places where a change may come
from are noted once (:mod:`.places`), and only where another object stands in one of them is everything read anew
(:mod:`.reading`). Names are those of a function's code with all code within it: comprehensions, lambdas, inner
functions (:mod:`.names`). Of an object the attributes are looked at that are named in any code that is reached, since
objects are handed on, and what its methods and properties of such names read; of a library's object all attributes
(:mod:`.kinds`). Files are noted as they are opened (:mod:`.opened`), and settings of libraries too (:mod:`.settings`).
"""
