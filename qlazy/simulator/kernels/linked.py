"""Kernels that only kernels call, as code to be linked into that of their callers.

numba makes machine code of every function. Of these nothing would ever run it, as they are compiled into the entry
points, and it takes a fifth of the time of the first call. The code of the entry points is the same, to the last bit.
"""

from __future__ import annotations

from typing import Any

from numba import _dynfunc  # type: ignore[attr-defined]
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering


class LinkedLibrary(JITCodeLibrary):
    """Code without machine code, optimised before it is linked unless its callers do."""

    def __init__(self, codegen: Any, name: str, by_callers: bool) -> None:
        super().__init__(codegen, name)
        self.by_callers = by_callers

    def _optimize_final_module(self) -> None:
        if not self.by_callers:
            super()._optimize_final_module()

    def _finalize_final_module(self) -> None:
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class LinkedLowering(NativeLowering):
    """numba's lowering up to the code; what callers find it by is a function that cannot be called from Python."""

    _name = "linked_lowering"

    def run_pass(self, state: Any) -> bool:
        function, context = state.func_id.func, state.targetctx
        by_callers = getattr(function, "optimized_by_callers", False)
        library = LinkedLibrary(context.codegen(), state.func_id.func_qualname, by_callers)
        library.enable_object_caching()
        state.library, state.flags.no_compile = library, True
        super().run_pass(state)
        lowered = state["cr"]
        module, kept_alive = lowered.fndesc.lookup_module(), (library,)
        name = _dynfunc.make_function(module, function.__name__, "", 0, lowered.env, kept_alive)
        context.insert_user_function(name, lowered.fndesc, [library])
        state["cr"] = lowered._replace(cfunc=name)
        return True


class LinkedCompiler(CompilerBase):
    """numba's pipeline with that lowering."""

    def define_pipelines(self) -> list[Any]:
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.passes = [
            (LinkedLowering if stage is NativeLowering else stage, said) for stage, said in pipeline.passes
        ]
        pipeline.finalize()
        return [pipeline]
