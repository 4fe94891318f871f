"""What an environment is made of, as files that a build makes when somebody asks for them."""

load("//rules/common:proof.bzl", "PROOFS", "proof_options")
load(":action.bzl", "run_tool")
load(":spec_args.bzl", "add_inputs")

def proofs(ctx, spec, inputs):
    """Declares the documents about an environment.

    Args:
      ctx: the context of a rule with TOOL_ATTRS.
      spec: the environment's spec, a File.
      inputs: its wheels, launchers and overlays, a list of File.

    Returns:
      A dict of depsets for `OutputGroupInfo`.
    """
    groups = {}
    for group, kinds in PROOFS.items():
        documents = []
        for end, command in kinds.items():
            document = ctx.actions.declare_file(ctx.label.name + end)
            args = ctx.actions.args()
            args.add(command[0])
            args.add(spec)
            args.add_all(proof_options(command, ctx.label.name))
            args.add("--out", document)
            add_inputs(args, inputs)
            run_tool(
                ctx,
                args = args,
                mnemonic = "PyVenvProof",
                progress_message = "Describing Python environment %s (%s)" % (ctx.label.name, end[1:]),
                inputs = [spec] + inputs,
                outputs = [document],
            )
            documents.append(document)
        groups[group] = depset(documents)
    return groups
