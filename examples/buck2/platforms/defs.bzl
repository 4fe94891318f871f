"""An execution platform that shares what it makes through a remote cache. Actions run on this machine."""

load("@prelude//platforms:defs.bzl", "host_configuration")

def _cached_platform_impl(ctx):
    constraints = {}
    for target in [ctx.attrs._cpu, ctx.attrs._os]:
        constraints.update(target[ConfigurationInfo].constraints)
    platform = ExecutionPlatformInfo(
        label = ctx.label.raw_target(),
        configuration = ConfigurationInfo(constraints = constraints, values = {}),
        executor_config = CommandExecutorConfig(
            local_enabled = True,
            remote_enabled = False,
            remote_cache_enabled = True,
            allow_cache_uploads = True,
            remote_execution_use_case = "buck2-default",
            remote_output_paths = "output_paths",
            use_windows_path_separators = False,
        ),
    )
    return [
        DefaultInfo(),
        ExecutionPlatformRegistrationInfo(platforms = [platform]),
    ]

cached_platform = rule(
    impl = _cached_platform_impl,
    attrs = {
        "_cpu": attrs.default_only(attrs.dep(default = host_configuration.cpu, providers = [ConfigurationInfo])),
        "_os": attrs.default_only(attrs.dep(default = host_configuration.os, providers = [ConfigurationInfo])),
    },
)
