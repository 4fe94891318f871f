# Activates this environment in nushell (0.106 or newer) as an overlay:
#
#     overlay use bin/activate.nu
#
# `deactivate` hides the overlay, which undoes everything; after `overlay use bin/activate.nu as NAME` it is
# `overlay hide NAME`. The file holds no path: nushell tells where it is.

export-env {
    const file = path self
    # A link leads to the file that belongs to an environment, unless the whole environment is made of links.
    let here = ($file | path dirname | path dirname)
    let is_link = ($file | path type) == symlink and ($here | path join pyvenv.cfg | path type) != symlink
    let root = if ($here | path join pyvenv.cfg | path exists) and not $is_link { $here } else {
        $file | path expand | path dirname | path dirname
    }
    if not ($root | path join pyvenv.cfg | path exists) {
        error make -u { msg: $"activate.nu: ($file) is not the activate file of an environment: no pyvenv.cfg in the folder above it" }
    }
    if ($root | str contains (char esep)) and $nu.os-info.name != windows {
        error make -u { msg: $"activate.nu: PATH cannot hold a folder with a colon in its name: ($root)" }
    }

    let given = @PROMPT@
    let name = if ($given | is-empty) { $root | path basename } else { $given }
    let path_name = if Path in $env { 'Path' } else { 'PATH' }
    # An environment that is active leaves: what it saved is what this one starts from. A record is not exported.
    let old = ($env | get --optional _OLD_VIRTUAL | default {
        path: ($env | get --optional $path_name | default [])
        pkg_config: ($env | get --optional PKG_CONFIG_PATH | default '')
        prompt: ($env | get --optional PROMPT_COMMAND | default '')
    })
    let pkg_config = ([$root lib pkgconfig] | path join)
    load-env {
        _OLD_VIRTUAL: $old
        VIRTUAL_ENV: $root
        VIRTUAL_ENV_PROMPT: $name
        $path_name: ($old.path | prepend ([$root @BIN@] | path join))
        PKG_CONFIG_PATH: (if ($old.pkg_config | is-empty) { $pkg_config } else { $"($pkg_config)(char esep)($old.pkg_config)" })
    }
    # It would send the environment's interpreter to another standard library.
    hide-env --ignore-errors PYTHONHOME

    let off = ($env | get --optional VIRTUAL_ENV_DISABLE_PROMPT | default '')
    if $off == false or ($off != true and ($off | is-empty)) {
        let prefix = $"\(($name)\) "
        let draw = $old.prompt
        let new = if ($draw | describe) == closure { {|| $"($prefix)(do $draw)" } } else { {|| $"($prefix)($draw)" } }
        load-env { VIRTUAL_PREFIX: $prefix, PROMPT_COMMAND: $new }
    }
}

export alias pydoc = python -m pydoc
# Not an active overlay? `overlay use activate.nu` makes it one, `use` does not; another NAME goes by `overlay hide NAME`
export alias deactivate = overlay hide activate
