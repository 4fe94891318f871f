import commands

commands.count()
