import commands

commands.greet()
