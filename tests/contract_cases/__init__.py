"""One way to build each public class: keyword arguments that are no defaults.

One file per family; `CASES` maps the class name to its arguments.
"""

from contract_cases import initializers, layers, optimizers, schedules

CASES = {
    f"{family.__name__.split('.')[-1]}.{name}": arguments
    for family in (initializers, layers, optimizers, schedules)
    for name, arguments in family.CASES.items()
}
