"""Ways to compute a recurrence on torch."""

from ostinato.kernels.base import Call, Kernel
from ostinato.kernels.choose import KERNELS, Choice, choose, force, scan

__all__ = ["KERNELS", "Call", "Choice", "Kernel", "choose", "force", "scan"]
