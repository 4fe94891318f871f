# Activates this environment in the shell that reads this file, so it has to be sourced, not run:
#
#     . bin/activate
#
# bash, zsh, ksh93, mksh, dash, busybox ash, yash, posh and other POSIX shells. `deactivate` undoes everything.
# The file holds no path: it finds out where it is. `VENVTREE_ENV` names the environment for a shell that cannot.

# Each shell's own word for the file that it reads now. What only one of them can parse waits inside `eval`.
_venvtree_knows=yes
_venvtree_file=
_venvtree_shell=
_venvtree_root=
_venvtree_run=
if [ -n "${BASH_VERSION-}" ]; then
    _venvtree_shell=bash
    _venvtree_file=${BASH_SOURCE-}
    # `return` is for what is sourced.
    [ "$_venvtree_file" != "$0" ] || (return 0 2>/dev/null) || _venvtree_run=yes
elif [ -n "${ZSH_VERSION-}" ]; then
    _venvtree_shell=zsh
    # `%x` writes what cannot be printed as an escape; the trace of a function's call does not, but is not always there.
    _venvtree_zsh() {
        eval 'case ${(t)funcsourcetrace} in *special*) _venvtree_file=${funcsourcetrace[@]:0:1} ;; esac'
        _venvtree_file=${_venvtree_file%:*}
    }
    _venvtree_zsh
    unset -f _venvtree_zsh
    if [ -z "$_venvtree_file" ]; then
        eval '_venvtree_file=${(%):-%x}'
        [ -f "$_venvtree_file" ] || _venvtree_knows=
    fi
    # Started as `sh`, it has other prompts: those of sh.
    eval 'case ${(t)psvar} in *special*) ;; *) _venvtree_shell=sh ;; esac'
    [ "${ZSH_EVAL_CONTEXT-}" != toplevel ] || [ "$_venvtree_file" != "$0" ] || _venvtree_run=yes
else
    case ${KSH_VERSION-} in
        "Version A"*)
            _venvtree_shell=ksh93
            eval '_venvtree_file=${.sh.file}'
            ;;
        *)
            # The others have no variable for it, but most name the file when they report an error.
            _venvtree_knows=
            _venvtree_file=$( (unset _venvtree_none; : "${_venvtree_none?_venvtree_error}") 2>&1) || :
            ;;
    esac
    case $0 in
        */activate) ! [ -f "${0%/*}/../pyvenv.cfg" ] || _venvtree_run=yes ;;
    esac
fi

# Sets _venvtree_path to the absolute, normal form of $1: no `.`, no `..`, no doubled slash. Text only.
_venvtree_normalise() {
    case $1 in
        /*) _venvtree_rest=$1/ ;;
        [A-Za-z]:[/\\]*) _venvtree_rest=$(cygpath -u "$1")/ || return 1 ;;
        *) _venvtree_rest=${PWD-}/$1/ ;;
    esac
    _venvtree_path=
    while [ -n "$_venvtree_rest" ]; do
        _venvtree_part=${_venvtree_rest%%/*}
        _venvtree_rest=${_venvtree_rest#*/}
        case $_venvtree_part in
            '' | .) ;;
            ..) _venvtree_path=${_venvtree_path%/*} ;;
            *) _venvtree_path=$_venvtree_path/$_venvtree_part ;;
        esac
    done
    [ -e "$_venvtree_path" ] || [ -h "$_venvtree_path" ]
}

# Sets _venvtree_path to the folder $1 without links. zsh has `command` for programs only, and hooks in `cd`.
_venvtree_physical() {
    if [ -n "${ZSH_VERSION-}" ]; then
        _venvtree_path=$(builtin cd -q -P "$1" >/dev/null && pwd -P && echo .) || return 1
    else
        _venvtree_path=$(command cd -P "$1" >/dev/null && pwd -P && echo .) || return 1
    fi
    _venvtree_path=${_venvtree_path%??}
}

# Sets _venvtree_link to where the link $1 leads. PATH may be empty.
_venvtree_readlink() {
    _venvtree_link=$( { readlink "$1" || command -p readlink "$1"; } 2>/dev/null && echo .) || return 1
    _venvtree_link=${_venvtree_link%??}
}

# Sets _venvtree_root to the environment of the activate file $1, or fails. A link is followed to the file that
# belongs to an environment; where a whole environment is made of links, the environment of links is meant.
_venvtree_accept() {
    _venvtree_seen=$1
    _venvtree_hops=40
    while [ "$_venvtree_hops" -gt 0 ]; do
        _venvtree_normalise "$_venvtree_seen" || return 1
        case $_venvtree_seen in
            */../* | ../*)
                # `..` after a link leads elsewhere than the text says.
                if ! [ "$_venvtree_path" -ef "$_venvtree_seen" ]; then
                    _venvtree_physical "${_venvtree_seen%/*}" || return 1
                    _venvtree_path=$_venvtree_path/${_venvtree_seen##*/}
                fi
                ;;
        esac
        _venvtree_seen=$_venvtree_path
        _venvtree_root=${_venvtree_seen%/*}
        _venvtree_root=${_venvtree_root%/*}
        if [ "${_venvtree_seen##*/}" = activate ] && [ -f "$_venvtree_root/pyvenv.cfg" ]; then
            if ! [ -h "$_venvtree_seen" ] || [ -h "$_venvtree_root/pyvenv.cfg" ]; then
                return 0
            fi
        fi
        if [ -h "$_venvtree_seen" ]; then
            _venvtree_readlink "$_venvtree_seen" || return 1
            case $_venvtree_link in
                /*) _venvtree_seen=$_venvtree_link ;;
                *) _venvtree_seen=${_venvtree_seen%/*}/$_venvtree_link ;;
            esac
            _venvtree_hops=$((_venvtree_hops - 1))
        elif [ "${_venvtree_seen##*/}" = activate ] && [ -f "${_venvtree_seen%/*}/../pyvenv.cfg" ]; then
            # The folder of scripts is a link itself, and not one inside an environment.
            _venvtree_physical "${_venvtree_seen%/*}/.." || return 1
            _venvtree_root=$_venvtree_path
            return 0
        else
            return 1
        fi
    done
    return 1
}

# The same for the folder of an environment: $1/bin/activate has to be there.
_venvtree_accept_root() {
    [ -n "$1" ] && [ -f "$1/pyvenv.cfg" ] && [ -f "$1"/@BIN@/activate ] || return 1
    _venvtree_normalise "$1" || return 1
    _venvtree_root=$_venvtree_path
}

# Sets _venvtree_root, or says why it cannot. Never a guess where there is evidence.
_venvtree_locate() {
    if [ -n "$_venvtree_knows" ]; then
        if [ -n "$_venvtree_file" ] && _venvtree_accept "$_venvtree_file"; then return 0; fi
        echo "activate: ${_venvtree_file:-the text being read} is not the activate file of an environment" \
            "(no pyvenv.cfg in the folder above it)" >&2
        return 1
    fi
    if [ -n "${VENVTREE_ENV-}" ]; then
        if _venvtree_accept_root "$VENVTREE_ENV"; then return 0; fi
        echo "activate: VENVTREE_ENV is not an environment: $VENVTREE_ENV" >&2
        return 1
    fi

    # The report reads `SHELL: 3: FILE`, `SHELL: FILE: line 3`, `SHELL: FILE`, `E: SHELL: FILE[3]` or `SHELL: FILE:3`,
    # and then the error. What is taken from it has to prove itself.
    case $_venvtree_file in
        *": _venvtree_none: _venvtree_error")
            _venvtree_file=${_venvtree_file%": _venvtree_none: _venvtree_error"}
            _venvtree_file=${_venvtree_file#"E: "}
            _venvtree_part=${0##*/}
            for _venvtree_part in "$0" "$_venvtree_part" "${_venvtree_part#-}"; do
                case $_venvtree_file in
                    "$_venvtree_part: "*)
                        _venvtree_file=${_venvtree_file#"$_venvtree_part: "}
                        break
                        ;;
                esac
            done
            case $_venvtree_file in
                [0-9]*": "*) _venvtree_file=${_venvtree_file#*: } ;;
                *": line "[0-9]*)
                    _venvtree_file=${_venvtree_file%": line "*}
                    _venvtree_shell=busybox
                    ;;
                *"["[0-9]*"]") _venvtree_file=${_venvtree_file%"["*} ;;
                *:[0-9]*) _venvtree_file=${_venvtree_file%:*} ;;
                *) _venvtree_shell=busybox ;;
            esac
            if _venvtree_accept "$_venvtree_file"; then return 0; fi
            _venvtree_shell=sh
            ;;
    esac

    # A sourced file is open while it is read, and Linux tells what is open.
    _venvtree_found=
    for _venvtree_open in /proc/$$/fd/*; do
        if [ -h "$_venvtree_open" ] && [ -f "$_venvtree_open" ]; then
            _venvtree_readlink "$_venvtree_open" || continue
            case $_venvtree_link in
                */activate) ;;
                *) continue ;;
            esac
            _venvtree_accept "$_venvtree_link" || continue
            if [ -n "$_venvtree_found" ] && [ "$_venvtree_found" != "$_venvtree_root" ]; then
                echo "activate: two environments are being read: $_venvtree_found and $_venvtree_root;" \
                    "set VENVTREE_ENV to the folder of one" >&2
                return 1
            fi
            _venvtree_found=$_venvtree_root
        fi
    done
    if [ -n "$_venvtree_found" ]; then
        _venvtree_root=$_venvtree_found
        return 0
    fi

    if ! [ -d "/proc/$$/fd" ] && _venvtree_accept_root "${PWD-}"; then
        echo "activate: this shell cannot tell which file it reads; taking the environment in the current folder," \
            "$_venvtree_root (VENVTREE_ENV names another)" >&2
        return 0
    fi
    echo "activate: this shell cannot tell which file it reads: set VENVTREE_ENV to the environment's folder first" >&2
    return 1
}

# Sets _venvtree_shown to $2 with every $1 (one character) in it replaced by $3.
_venvtree_replace() {
    _venvtree_rest=$2
    _venvtree_shown=
    while :; do
        case $_venvtree_rest in
            *"$1"*)
                _venvtree_shown=$_venvtree_shown${_venvtree_rest%%"$1"*}$3
                _venvtree_rest=${_venvtree_rest#*"$1"}
                ;;
            *)
                _venvtree_shown=$_venvtree_shown$_venvtree_rest
                return 0
                ;;
        esac
    done
}

# Puts VIRTUAL_ENV_PROMPT before PS1 as this shell's prompts need it, so that it shows as text and never runs.
_venvtree_prompt() {
    _venvtree_shown=$VIRTUAL_ENV_PROMPT
    case $_venvtree_shell in
        bash)
            # bash decodes backslashes first and then expands, if `promptvars` says so, now or later.
            _venvtree_replace '\' "$_venvtree_shown" '\\\\'
            _venvtree_replace '`' "$_venvtree_shown" '\`'
            # `\$` is this character, except for the superuser.
            if [ "${EUID-}" = 0 ]; then
                _venvtree_replace '$' "$_venvtree_shown" '\\$'
            else
                _venvtree_replace '$' "$_venvtree_shown" '\$'
            fi
            ;;
        zsh)
            # Which characters are special depends on options that may change later. Text with any of them becomes an
            # element of psvar, the array whose elements zsh inserts as they are.
            case $_venvtree_shown in
                *[\!\$\%\`\\]*)
                    eval '_OLD_VIRTUAL_PSVAR=${#psvar[@]}
                    while [ "${#psvar[@]}" -lt 8 ]; do psvar+=(""); done
                    psvar+=("$VIRTUAL_ENV_PROMPT")
                    _OLD_VIRTUAL_PSVAR_NEW=${#psvar[@]}'
                    _venvtree_shown=%${_OLD_VIRTUAL_PSVAR_NEW}v
                    ;;
            esac
            ;;
        *)
            case $- in
                *i*) ;;
                *) return 0 ;;
            esac
            # What a variable in PS1 expands to is not expanded again; some go on to decode it.
            if [ -n "${POSH_VERSION-}" ]; then
                :
            else
                case $_venvtree_shell in
                    ksh93) _venvtree_replace '!' "$_venvtree_shown" '!!' ;;
                    busybox) _venvtree_replace '\' "$_venvtree_shown" '\\' ;;
                    *) if [ -n "${YASH_VERSION-}" ]; then _venvtree_replace '\' "$_venvtree_shown" '\\'; fi ;;
                esac
                _OLD_VIRTUAL_SHOWN=$_venvtree_shown
                _venvtree_shown='${_OLD_VIRTUAL_SHOWN-}'
            fi
            ;;
    esac
    if [ -n "${PS1+set}" ]; then
        _OLD_VIRTUAL_PS1=$PS1
    else
        _OLD_VIRTUAL_UNSET="$_OLD_VIRTUAL_UNSET PS1"
    fi
    PS1="($_venvtree_shown) ${PS1-}"
}

_venvtree_activate() {
    if [ -n "$_venvtree_run" ]; then
        # Run as a program, it would change nothing that lasts.
        echo "You must source this script: \$ source bin/activate" >&2
        exit 1
    fi
    _venvtree_locate || return 1
    case $_venvtree_root in
        *:*)
            echo "activate: PATH cannot hold a folder with a colon in its name: $_venvtree_root" >&2
            return 1
            ;;
    esac

    # An environment that is active leaves first, by its own `deactivate` where that is known to be one.
    if [ -n "${_OLD_VIRTUAL_PATH+set}" ] && command -v deactivate >/dev/null 2>&1; then
        deactivate nondestructive || :
    fi
    _OLD_VIRTUAL_UNSET=
    if [ -n "${VIRTUAL_ENV+set}" ]; then _OLD_VIRTUAL_ENV=$VIRTUAL_ENV; fi
    if [ -n "${VIRTUAL_ENV_PROMPT+set}" ]; then _OLD_VIRTUAL_ENV_PROMPT=$VIRTUAL_ENV_PROMPT; fi

    VIRTUAL_ENV=${_venvtree_root:-/}
    VIRTUAL_ENV_PROMPT=@PROMPT@
    if [ -z "$VIRTUAL_ENV_PROMPT" ]; then VIRTUAL_ENV_PROMPT=${VIRTUAL_ENV##*/}; fi
    export VIRTUAL_ENV VIRTUAL_ENV_PROMPT

    if [ -n "${PATH+set}" ]; then
        _OLD_VIRTUAL_PATH=$PATH
    else
        _OLD_VIRTUAL_PATH=
        _OLD_VIRTUAL_UNSET="$_OLD_VIRTUAL_UNSET PATH"
    fi
    PATH=$_venvtree_root/@BIN@${PATH:+:$PATH}
    export PATH
    if [ -n "${PKG_CONFIG_PATH+set}" ]; then
        _OLD_PKG_CONFIG_PATH=$PKG_CONFIG_PATH
    else
        _OLD_PKG_CONFIG_PATH=
        _OLD_VIRTUAL_UNSET="$_OLD_VIRTUAL_UNSET PKG_CONFIG_PATH"
    fi
    PKG_CONFIG_PATH=$_venvtree_root/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
    export PKG_CONFIG_PATH
    # It would send the environment's interpreter to another standard library.
    if [ -n "${PYTHONHOME+set}" ]; then
        _OLD_VIRTUAL_PYTHONHOME=$PYTHONHOME
        unset PYTHONHOME
    fi
    if [ -z "${VIRTUAL_ENV_DISABLE_PROMPT-}" ]; then _venvtree_prompt; fi

    # `pydoc` of the environment, unless the name has a meaning of its own here.
    if ! alias pydoc >/dev/null 2>&1; then
        case $(LC_ALL=C && export LC_ALL && command -V pydoc 2>/dev/null) in
            *function*) ;;
            *)
                eval 'pydoc() { python -m pydoc "$@"; }'
                _OLD_VIRTUAL_PYDOC=1
                ;;
        esac
    fi
}

# Leaves nothing of what only the activation needed.
_venvtree_forget() {
    unset _venvtree_knows _venvtree_file _venvtree_shell _venvtree_root _venvtree_run _venvtree_path _venvtree_rest
    unset _venvtree_part _venvtree_seen _venvtree_hops _venvtree_link _venvtree_found _venvtree_open _venvtree_shown
    unset -f _venvtree_normalise _venvtree_physical _venvtree_readlink _venvtree_accept _venvtree_accept_root
    unset -f _venvtree_locate _venvtree_replace _venvtree_prompt _venvtree_activate _venvtree_forget
}

if _venvtree_activate; then
    deactivate() {
        case " ${_OLD_VIRTUAL_UNSET-} " in
            *" PATH "*) unset PATH ;;
            *)
                if [ -n "${_OLD_VIRTUAL_PATH+set}" ]; then
                    PATH=$_OLD_VIRTUAL_PATH
                    export PATH
                fi
                ;;
        esac
        case " ${_OLD_VIRTUAL_UNSET-} " in
            *" PKG_CONFIG_PATH "*) unset PKG_CONFIG_PATH ;;
            *)
                if [ -n "${_OLD_PKG_CONFIG_PATH+set}" ]; then
                    PKG_CONFIG_PATH=$_OLD_PKG_CONFIG_PATH
                    export PKG_CONFIG_PATH
                fi
                ;;
        esac
        if [ -n "${_OLD_VIRTUAL_PYTHONHOME+set}" ]; then
            PYTHONHOME=$_OLD_VIRTUAL_PYTHONHOME
            export PYTHONHOME
        fi
        case " ${_OLD_VIRTUAL_UNSET-} " in
            *" PS1 "*) unset PS1 ;;
            *) if [ -n "${_OLD_VIRTUAL_PS1+set}" ]; then PS1=$_OLD_VIRTUAL_PS1; fi ;;
        esac
        if [ -n "${_OLD_VIRTUAL_PSVAR+set}" ]; then
            eval 'if [ "${#psvar[@]}" -eq "$_OLD_VIRTUAL_PSVAR_NEW" ]; then
                psvar[-1]=()
                while [ "${#psvar[@]}" -gt "$_OLD_VIRTUAL_PSVAR" ] && [ -z "${psvar[-1]}" ]; do psvar[-1]=(); done
            fi'
        fi
        if [ -n "${_OLD_VIRTUAL_PYDOC+set}" ]; then unset -f pydoc || :; fi
        unset VIRTUAL_ENV VIRTUAL_ENV_PROMPT
        if [ -n "${_OLD_VIRTUAL_ENV+set}" ]; then
            VIRTUAL_ENV=$_OLD_VIRTUAL_ENV
            export VIRTUAL_ENV
        fi
        if [ -n "${_OLD_VIRTUAL_ENV_PROMPT+set}" ]; then
            VIRTUAL_ENV_PROMPT=$_OLD_VIRTUAL_ENV_PROMPT
            export VIRTUAL_ENV_PROMPT
        fi
        unset _OLD_VIRTUAL_PATH _OLD_VIRTUAL_PYTHONHOME _OLD_VIRTUAL_PS1 _OLD_VIRTUAL_PYDOC
        unset _OLD_VIRTUAL_PSVAR _OLD_VIRTUAL_PSVAR_NEW _OLD_VIRTUAL_UNSET _OLD_VIRTUAL_SHOWN
        unset _OLD_VIRTUAL_ENV _OLD_VIRTUAL_ENV_PROMPT _OLD_PKG_CONFIG_PATH
        # Where commands were found before is not where they are now.
        hash -r 2>/dev/null || :
        if [ "${1-}" != nondestructive ]; then unset -f deactivate; fi
    }
    hash -r 2>/dev/null || :
    _venvtree_forget
else
    _venvtree_forget
    false
fi
