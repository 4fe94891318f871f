"""What an environment is made of, as files that a build makes when somebody asks for them."""

load("//rules/common:proof.bzl", "PROOFS", "proof_options")
load(":action.bzl", "named_input", "run_tool")

def proofs(ctx: AnalysisContext, spec: Artifact, inputs: list[Artifact]) -> dict[str, list[Provider]]:
    """Declares the documents about an environment.

    Args:
      ctx: the context of a rule with TOOL_ATTRS.
      spec: the environment's spec.
      inputs: its wheels and launchers.

    Returns:
      Sub-targets.
    """
    targets = {}
    for group, kinds in PROOFS.items():
        documents = []
        for end, command in kinds.items():
            document = ctx.actions.declare_output(ctx.label.name.replace("/", "_") + end, has_content_based_path = True)
            run_tool(
                ctx,
                command = [command[0], spec] + proof_options(command, ctx.label.name),
                category = "py_venv_proof",
                identifier = end[1:],
                outputs = [("--out", document)],
                inputs = [named_input(file.basename, file) for file in inputs],
            )
            documents.append(document)
        targets[group] = [DefaultInfo(default_outputs = documents)]
    return targets
