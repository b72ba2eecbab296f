"""The contract of the labs: arms that do the thing wrong and right, and what becomes of their figures.

A lab is a module that has a Lab named LAB. run.py runs its arms in rounds, result.py saves what they measured, table.py
and chart.py show it, and chapters.py keeps each figure in the docs equal to the saved one.
"""

from devtools.lab.contract import Arm, Figure, Lab, Round

__all__ = ["Arm", "Figure", "Lab", "Round"]
