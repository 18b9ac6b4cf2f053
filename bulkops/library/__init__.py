"""
What a program may ask of bulkops; `import bulkops` gives the names of this floor.

Here stand the decisions between a wish and its end: which run a wish finds again, whether it is
finished already, whose turn it is, who hears of the end, and with which code that is. The shell
above has words, tables, questions and a terminal; other programs have their own.

Nothing here prints, ends the process, takes a signal or sets up a log unless it is asked to.
Whatever goes wrong is an error of `bulkops.errors`.
"""

from __future__ import annotations
