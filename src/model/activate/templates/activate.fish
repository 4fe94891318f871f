# Activates this environment in fish, so it has to be sourced, not run:
#
#     source bin/activate.fish
#
# `deactivate` undoes everything. The file holds no path: fish tells where it is.

# Sets _venvtree_path to the absolute, normal form of $argv[1]. Text only: `cd` would move the user.
function _venvtree_normalise
    set -l path $argv[1]
    builtin string match -q -- '/*' $path; or set path $PWD/$path
    set -l parts
    for part in (builtin string split -- / $path)
        switch $part
            case '' .
            case ..
                set -q parts[1]; and set -e parts[-1]
            case '*'
                set -a parts $part
        end
    end
    set -g _venvtree_path /(builtin string join -- / $parts | builtin string collect)
end

# Sets _venvtree_root to the environment of the activate file $argv[1], or fails. A link is followed to the file that
# belongs to an environment; where a whole environment is made of links, the environment of links is meant.
function _venvtree_accept
    set -l seen $argv[1]
    for hop in (builtin string split ' ' '1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20')
        _venvtree_normalise $seen
        # `..` after a link leads elsewhere than the text says.
        if builtin string match -q -- '*../*' $seen
            if test (builtin realpath -- $_venvtree_path 2>/dev/null | builtin string collect) != (builtin realpath -- $seen 2>/dev/null | builtin string collect)
                set _venvtree_path (builtin realpath -- $seen | builtin string collect)
            end
        end
        set seen $_venvtree_path
        set -l parts (builtin string split -- / $seen)
        set -g _venvtree_root (builtin string join -- / $parts[1..-3] | builtin string collect)
        if test "$parts[-1]" = activate.fish -a -f "$_venvtree_root/pyvenv.cfg"
            if test ! -L "$seen" -o -L "$_venvtree_root/pyvenv.cfg"
                return 0
            end
        end
        if test -L "$seen"
            set -l link (command readlink -- $seen | builtin string collect)
            or return 1
            if builtin string match -q -- '/*' $link
                set seen $link
            else
                set seen (builtin string join -- / $parts[1..-2] $link | builtin string collect)
            end
        else if test "$parts[-1]" = activate.fish
            # The folder of scripts may be a link itself, and not one inside an environment.
            set parts (builtin string split -- / (builtin realpath -- $seen | builtin string collect))
            set -g _venvtree_root (builtin string join -- / $parts[1..-3] | builtin string collect)
            test -f "$_venvtree_root/pyvenv.cfg"
            return
        else
            return 1
        end
    end
    return 1
end

function _venvtree_activate
    set -l file $argv[1]
    if not _venvtree_accept $file
        builtin echo "activate.fish: $file is not the activate file of an environment (no pyvenv.cfg in the folder above it)" >&2
        return 1
    end
    if builtin string match -q -- '*:*' $_venvtree_root
        builtin echo "activate.fish: PATH cannot hold a folder with a colon in its name: $_venvtree_root" >&2
        return 1
    end

    # An environment that is active leaves first, by its own `deactivate`.
    if set -q _OLD_VIRTUAL_PATH; and functions -q deactivate
        deactivate nondestructive
    end
    set -q VIRTUAL_ENV; and set -g _OLD_VIRTUAL_ENV $VIRTUAL_ENV
    set -q VIRTUAL_ENV_PROMPT; and set -g _OLD_VIRTUAL_ENV_PROMPT $VIRTUAL_ENV_PROMPT

    set -gx VIRTUAL_ENV $_venvtree_root
    test -n "$VIRTUAL_ENV"; or set -gx VIRTUAL_ENV /
    set -gx VIRTUAL_ENV_PROMPT @PROMPT@
    if test -z "$VIRTUAL_ENV_PROMPT"
        set -l parts (builtin string split -- / $_venvtree_root)
        set -gx VIRTUAL_ENV_PROMPT $parts[-1]
    end

    set -g _OLD_VIRTUAL_PATH $PATH
    set -q PATH; or set -g _OLD_VIRTUAL_UNSET PATH
    set -gx PATH $_venvtree_root/@BIN@ $PATH
    if set -q PKG_CONFIG_PATH
        set -g _OLD_PKG_CONFIG_PATH $PKG_CONFIG_PATH
    else
        set -g _OLD_VIRTUAL_UNSET $_OLD_VIRTUAL_UNSET PKG_CONFIG_PATH
    end
    if test -n "$PKG_CONFIG_PATH"
        set -gx PKG_CONFIG_PATH "$_venvtree_root/lib/pkgconfig:$PKG_CONFIG_PATH"
    else
        set -gx PKG_CONFIG_PATH $_venvtree_root/lib/pkgconfig
    end
    # It would send the environment's interpreter to another standard library.
    if set -q PYTHONHOME
        set -g _OLD_VIRTUAL_PYTHONHOME $PYTHONHOME
        set -e PYTHONHOME
    end

    function deactivate -d 'Leave the Python environment'
        if contains -- PATH $_OLD_VIRTUAL_UNSET
            set -e PATH
        else if set -q _OLD_VIRTUAL_PATH
            set -gx PATH $_OLD_VIRTUAL_PATH
        end
        if contains -- PKG_CONFIG_PATH $_OLD_VIRTUAL_UNSET
            set -e PKG_CONFIG_PATH
        else if set -q _OLD_PKG_CONFIG_PATH
            set -gx PKG_CONFIG_PATH $_OLD_PKG_CONFIG_PATH
        end
        set -q _OLD_VIRTUAL_PYTHONHOME; and set -gx PYTHONHOME $_OLD_VIRTUAL_PYTHONHOME
        if set -q _OLD_FISH_PROMPT_OVERRIDE; and functions -q _old_fish_prompt
            # With this empty, erasing the function does not load it again from its file.
            set -l fish_function_path
            functions -e fish_prompt
            functions -c _old_fish_prompt fish_prompt
            functions -e _old_fish_prompt
        end
        set -q _OLD_VIRTUAL_PYDOC; and functions -e pydoc
        set -e VIRTUAL_ENV
        set -e VIRTUAL_ENV_PROMPT
        set -q _OLD_VIRTUAL_ENV; and set -gx VIRTUAL_ENV $_OLD_VIRTUAL_ENV
        set -q _OLD_VIRTUAL_ENV_PROMPT; and set -gx VIRTUAL_ENV_PROMPT $_OLD_VIRTUAL_ENV_PROMPT
        for name in _OLD_VIRTUAL_{PATH,UNSET,PYTHONHOME,PYDOC,ENV,ENV_PROMPT} _OLD_PKG_CONFIG_PATH _OLD_FISH_PROMPT_OVERRIDE
            set -q $name; and set -e $name
        end
        test "$argv[1]" = nondestructive; or functions -e deactivate
        true
    end

    # `pydoc` of the environment, unless the name has a meaning of its own here.
    if not functions -q pydoc
        set -g _OLD_VIRTUAL_PYDOC 1
        function pydoc
            python -m pydoc $argv
        end
    end

    if test -z "$VIRTUAL_ENV_DISABLE_PROMPT"
        # By these names, other tools' environments give the prompt back before they take it.
        set -g _OLD_FISH_PROMPT_OVERRIDE $VIRTUAL_ENV
        functions -c fish_prompt _old_fish_prompt
        function fish_prompt
            # First, because the prompt may show the status of the last command; and that status stays.
            set -l last $status
            set -l prompt (_old_fish_prompt)
            builtin printf '(%s) ' "$VIRTUAL_ENV_PROMPT"
            builtin string join -- \n $prompt
            return $last
        end
    end
end

if _venvtree_activate (builtin status filename | builtin string collect)
    set -e _venvtree_path _venvtree_root
    functions -e _venvtree_normalise _venvtree_accept _venvtree_activate
else
    set -e _venvtree_path _venvtree_root
    functions -e _venvtree_normalise _venvtree_accept _venvtree_activate
    false
end
