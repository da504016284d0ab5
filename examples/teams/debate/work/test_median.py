import importlib
import sys

median = importlib.import_module(sys.argv[1]).median
CASES = (([3], 3), ([1, 2, 3], 2), ([3, 1, 2], 2), ([4, 1, 2, 3], 2.5), ([5, 5, 1, 1], 3))
broken = [values for values, wanted in CASES if median(list(values)) != wanted]
print(len(CASES) - len(broken), len(broken))
