# Activates this environment in csh and tcsh, so it has to be sourced, not run:
#
#     source bin/activate.csh
#
# `deactivate` undoes everything. The file holds no path, and csh does not tell which file it reads. A sourced file is
# open while it is read, and Linux tells what is open; elsewhere, name the environment first: setenv VENVTREE_ENV DIR

# For sh, because csh expands what it should only compare. Prints the folder of the environment, its name and the name
# as prompts need it, each on a line of its own; or says what is missing, and prints nothing.
setenv _VENVTREE_SHELL $$
setenv _VENVTREE_KIND csh
if ( $?tcsh ) setenv _VENVTREE_KIND tcsh
setenv _VENVTREE_PROMPT @PROMPT@
setenv _VENVTREE_BACKSLASH \\
setenv _VENVTREE_SCRIPT 'found=; \
say() { echo "activate.csh: $*" >&2; }; \
inside() { \
    case $1 in */@BIN@/activate.csh) ;; *) return 1;; esac; \
    root=${1%%/@BIN@/activate.csh}; test -f "$1" && test -f "$root/pyvenv.cfg"; \
}; \
if test -n "$VENVTREE_ENV"; then \
    case $VENVTREE_ENV in /*) found=${VENVTREE_ENV%%/};; *) found=$PWD/${VENVTREE_ENV%%/};; esac; \
    inside "$found/@BIN@/activate.csh" || { say "VENVTREE_ENV is not an environment: $VENVTREE_ENV"; exit 1; }; \
elif test -d "/proc/$_VENVTREE_SHELL/fd"; then \
    for open in "/proc/$_VENVTREE_SHELL/fd"/*; do \
        link=$(readlink "$open" 2>/dev/null && echo .) || continue; \
        inside "${link%%??}" || continue; \
        if test -n "$found" && test "$found" != "$root"; then \
            say "two environments are being read: $found and $root; set VENVTREE_ENV to the folder of one"; exit 1; \
        fi; \
        found=$root; \
    done; \
elif inside "$PWD/@BIN@/activate.csh"; then \
    found=$PWD; \
    say "csh cannot tell which file it reads; taking the environment in the current folder, $found (VENVTREE_ENV names another)"; \
fi; \
line="\
"; \
case $found in \
    "") say "csh cannot tell which file it reads: set VENVTREE_ENV to the folder of the environment first"; exit 1;; \
    *:*) say "PATH cannot hold a folder with a colon in its name: $found"; exit 1;; \
    *"$line"*) say "csh cannot hold a folder with a line break in its name: $found"; exit 1;; \
esac; \
name=${_VENVTREE_PROMPT:-${found##*/}}; \
printf "%s\n" "$found" "${found##*/}"; \
b=$_VENVTREE_BACKSLASH; \
if test "$_VENVTREE_KIND" = tcsh; then set -- "s/[$b^\!]/$b$b&/g" -e "s/%/%%/g"; else set -- "s/\!/$b$b&/g"; fi; \
printf "%s" "$name" | tr "\n" " " | sed -e "$@"'
set _venvtree_found = ("`printenv _VENVTREE_SCRIPT | /bin/sh`")
unsetenv _VENVTREE_SHELL
unsetenv _VENVTREE_KIND
unsetenv _VENVTREE_SCRIPT
unsetenv _VENVTREE_BACKSLASH

if ( $#_venvtree_found == 3 ) then
    # An environment that is active leaves first.
    if ( $?_OLD_VIRTUAL_PATH ) then
        if ( "`alias deactivate`" != "" ) then
            deactivate
        endif
    endif

    # Whether each of these was set: PATH, PYTHONHOME, PKG_CONFIG_PATH, prompt, VIRTUAL_ENV, VIRTUAL_ENV_PROMPT; and pydoc.
    set _OLD_VIRTUAL_SET = ($?PATH $?PYTHONHOME $?PKG_CONFIG_PATH 0 $?VIRTUAL_ENV $?VIRTUAL_ENV_PROMPT 0)
    set _OLD_VIRTUAL_PATH = ""
    set _OLD_VIRTUAL_PYTHONHOME = ""
    set _OLD_PKG_CONFIG_PATH = ""
    set _OLD_VIRTUAL_PROMPT = ""
    set _OLD_VIRTUAL_ENV = ""
    set _OLD_VIRTUAL_ENV_PROMPT = ""

    # Words, not double quotes: between those the BSD csh loses the character before a line break.
    if ( $?VIRTUAL_ENV ) then
        set _OLD_VIRTUAL_ENV = $VIRTUAL_ENV:q
    endif
    if ( $?VIRTUAL_ENV_PROMPT ) then
        set _OLD_VIRTUAL_ENV_PROMPT = $VIRTUAL_ENV_PROMPT:q
    endif
    setenv VIRTUAL_ENV $_venvtree_found[1]:q
    setenv VIRTUAL_ENV_PROMPT $_venvtree_found[2]:q
    if ( "$_VENVTREE_PROMPT:q" != "" ) then
        setenv VIRTUAL_ENV_PROMPT $_VENVTREE_PROMPT:q
    endif

    if ( $?PATH ) then
        set _OLD_VIRTUAL_PATH = $PATH:q
    endif
    if ( "$_OLD_VIRTUAL_PATH:q" == "" ) then
        setenv PATH $VIRTUAL_ENV:q/@BIN@
    else
        setenv PATH $VIRTUAL_ENV:q/@BIN@:$PATH:q
    endif
    if ( $?PKG_CONFIG_PATH ) then
        set _OLD_PKG_CONFIG_PATH = $PKG_CONFIG_PATH:q
    endif
    if ( "$_OLD_PKG_CONFIG_PATH:q" == "" ) then
        setenv PKG_CONFIG_PATH $VIRTUAL_ENV:q/lib/pkgconfig
    else
        setenv PKG_CONFIG_PATH $VIRTUAL_ENV:q/lib/pkgconfig:$PKG_CONFIG_PATH:q
    endif
    # It would send the interpreter of the environment to another standard library.
    if ( $?PYTHONHOME ) then
        set _OLD_VIRTUAL_PYTHONHOME = $PYTHONHOME:q
        unsetenv PYTHONHOME
    endif

    set _venvtree_draw = $?prompt
    if ( $?VIRTUAL_ENV_DISABLE_PROMPT ) then
        if ( "$VIRTUAL_ENV_DISABLE_PROMPT:q" != "" ) set _venvtree_draw = 0
    endif
    if ( $_venvtree_draw ) then
        set _OLD_VIRTUAL_SET[4] = 1
        set _OLD_VIRTUAL_PROMPT = $prompt:q
        set prompt = '('$_venvtree_found[3]:q') '$prompt:q
    endif
    unset _venvtree_draw

    # pydoc of the environment, unless the name has a meaning of its own here.
    if ( "`alias pydoc`" == "" ) then
        set _OLD_VIRTUAL_SET[7] = 1
        alias pydoc python -m pydoc
    endif

    alias deactivate 'unsetenv VIRTUAL_ENV; unsetenv VIRTUAL_ENV_PROMPT; unsetenv PATH; unsetenv PKG_CONFIG_PATH; if ( $_OLD_VIRTUAL_SET[1] ) setenv PATH $_OLD_VIRTUAL_PATH:q; if ( $_OLD_VIRTUAL_SET[2] ) setenv PYTHONHOME $_OLD_VIRTUAL_PYTHONHOME:q; if ( $_OLD_VIRTUAL_SET[3] ) setenv PKG_CONFIG_PATH $_OLD_PKG_CONFIG_PATH:q; if ( $_OLD_VIRTUAL_SET[4] ) set prompt = $_OLD_VIRTUAL_PROMPT:q; if ( $_OLD_VIRTUAL_SET[5] ) setenv VIRTUAL_ENV $_OLD_VIRTUAL_ENV:q; if ( $_OLD_VIRTUAL_SET[6] ) setenv VIRTUAL_ENV_PROMPT $_OLD_VIRTUAL_ENV_PROMPT:q; if ( $_OLD_VIRTUAL_SET[7] ) unalias pydoc; unset _OLD_VIRTUAL_SET _OLD_VIRTUAL_PATH _OLD_VIRTUAL_PYTHONHOME _OLD_PKG_CONFIG_PATH _OLD_VIRTUAL_PROMPT _OLD_VIRTUAL_ENV _OLD_VIRTUAL_ENV_PROMPT; unalias deactivate; rehash'
    rehash
    unset _venvtree_found
    unsetenv _VENVTREE_PROMPT
else
    unset _venvtree_found
    unsetenv _VENVTREE_PROMPT
    # This fails, which is all that a sourced file can do.
    /bin/sh -c 'exit 1'
endif
