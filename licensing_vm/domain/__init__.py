"""The licensing domain: parties, assets, lineage, terms, agreements, use, periods, money, authority.

One module per group of commands; every handler has the shape `handler(context, command)`, changes state
through the context only, and raises `Refused` to say no. `table.COMMANDS` is the door.
"""
