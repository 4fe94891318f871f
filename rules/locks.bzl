"""The module extension for locks: `uv.lock` or `pylock.toml` as a repository. WORKSPACE has `venvtree_lock` of `repositories.bzl`."""

load("//rules/private:hub.bzl", "wheel_repository")
load("//rules/private:lock_repositories.bzl", "LOCK_ATTRIBUTES", "labels_of", "lock_hub", "locks_of", "venvtree_whl", "whl_attributes")
load("//rules/private:repository.bzl", "clash")

def _locks_impl(module_ctx):
    owners = {}
    tags = []
    for module in module_ctx.modules:
        for tag in module.tags.read:
            if tag.name in owners:
                fail(clash(owners[tag.name], module, "a lock", tag.name))
            owners[tag.name] = module
            tags.append(tag)
    made = {}
    for tag, lock in zip(tags, locks_of(module_ctx, tags)):
        for key, file in lock.index["files"].items():
            if key not in made:
                made[key] = True
                venvtree_whl(name = wheel_repository(key), **whl_attributes(file, lock.label))
        lock_hub(
            name = tag.name,
            hub = tag.name,
            index = lock.text,
            order = lock.order,
            constraints = {target: labels_of(tag.name, "constraints", texts, lock.label, True) for target, texts in tag.constraints.items()},
            supply = {package: labels_of(tag.name, "supply", [text], lock.label, True)[0] for package, text in tag.supply.items()},
        )

    # The lock says everything, and Bazel reads it again when it changes. (Bazel 7.1 brought both `watch` and this argument.)
    return module_ctx.extension_metadata(reproducible = True) if hasattr(module_ctx, "watch") else None

locks = module_extension(
    implementation = _locks_impl,
    doc = "Locks as repositories.",
    tag_classes = {
        "read": tag_class(
            doc = "A lock as a repository: `@NAME//flask` is flask and what it requires, `@NAME//:all` what the project requires.",
            attrs = dict({"name": attr.string(doc = "The repository's name.", mandatory = True)}, **LOCK_ATTRIBUTES),
        ),
    },
)
