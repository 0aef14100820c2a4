"""How fast the maps are, measured beside the same work written by hand in the same run.

The messages and maps here serve nothing else; the partners' own maps differ from them only in what they name.
"""
