<#
.Synopsis
Activates this Python environment in the current PowerShell session.

.Description
Puts the environment first in PATH and shows its name in the prompt. `deactivate` undoes everything.
The script holds no path: it finds out where it is. It has to be run in the session itself:

    . bin/activate.ps1

.Parameter VenvDir
The environment's folder, where it is not the one that holds this script.

.Parameter Prompt
What the prompt shows, instead of what the environment was made with or the name of its folder.

.Notes
This script is not signed. Windows refuses to run it under the execution policies Restricted and AllSigned; the policy
of one session is changed with: Set-ExecutionPolicy -Scope Process -ExecutionPolicy RemoteSigned
#>
Param(
    [Parameter(Mandatory = $false)]
    [String] $VenvDir,

    [Parameter(Mandatory = $false)]
    [String] $Prompt
)

if (-not $VenvDir) {
    $VenvDir = [IO.Path]::GetDirectoryName($PSScriptRoot)
}
$VenvDir = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($VenvDir)
$VenvDir = $VenvDir.TrimEnd([IO.Path]::DirectorySeparatorChar, [IO.Path]::AltDirectorySeparatorChar)
if (-not [IO.File]::Exists([IO.Path]::Combine($VenvDir, 'pyvenv.cfg'))) {
    throw "activate.ps1: '$VenvDir' is not an environment: it has no pyvenv.cfg"
}
if ($VenvDir.Contains([String][IO.Path]::PathSeparator)) {
    throw "activate.ps1: PATH cannot hold a folder with '$([IO.Path]::PathSeparator)' in its name: '$VenvDir'"
}
if (-not $Prompt) {
    $Prompt = @PROMPT@
}
if (-not $Prompt) {
    $Prompt = [IO.Path]::GetFileName($VenvDir)
}

# An environment that is active leaves first, by its own `deactivate`.
if ($env:VIRTUAL_ENV -and (Test-Path -LiteralPath Function:\deactivate)) {
    deactivate -NonDestructive
}

# What was there before; $null is what was not.
$global:_OLD_VIRTUAL = @{
    Variables = @{ }
    Prompt    = $null
    Pydoc     = $null
}
foreach ($name in 'VIRTUAL_ENV', 'VIRTUAL_ENV_PROMPT', 'PATH', 'PKG_CONFIG_PATH', 'PYTHONHOME') {
    $global:_OLD_VIRTUAL.Variables[$name] = [Environment]::GetEnvironmentVariable($name)
}

function global:deactivate([Switch] $NonDestructive) {
    if (Test-Path -LiteralPath Variable:\_OLD_VIRTUAL) {
        foreach ($name in $global:_OLD_VIRTUAL.Variables.Keys) {
            $value = $global:_OLD_VIRTUAL.Variables[$name]
            if ($null -eq $value) {
                Remove-Item -LiteralPath "Env:\$name" -ErrorAction SilentlyContinue
            } else {
                Set-Item -LiteralPath "Env:\$name" -Value $value
            }
        }
        if ($null -ne $global:_OLD_VIRTUAL.Prompt) {
            Set-Item -LiteralPath Function:\global:prompt -Value $global:_OLD_VIRTUAL.Prompt
        }
        if ($null -ne $global:_OLD_VIRTUAL.Pydoc) {
            Remove-Item -LiteralPath Function:\pydoc -ErrorAction SilentlyContinue
        }
        Remove-Variable -Name _OLD_VIRTUAL -Scope Global
    }
    if (-not $NonDestructive) {
        Remove-Item -LiteralPath Function:\deactivate
    }
}

$env:VIRTUAL_ENV = $VenvDir
$env:VIRTUAL_ENV_PROMPT = $Prompt
$env:PATH = (@([IO.Path]::Combine($VenvDir, '@BIN@'), $env:PATH) | Where-Object { $_ }) -join [IO.Path]::PathSeparator
$env:PKG_CONFIG_PATH = (@([IO.Path]::Combine($VenvDir, 'lib', 'pkgconfig'), $env:PKG_CONFIG_PATH) | Where-Object { $_ }) -join [IO.Path]::PathSeparator
# It would send the environment's interpreter to another standard library.
Remove-Item -LiteralPath Env:\PYTHONHOME -ErrorAction SilentlyContinue

# `pydoc` of the environment, unless the name has a meaning of its own here.
if (-not (Test-Path -LiteralPath Function:\pydoc) -and -not (Test-Path -LiteralPath Alias:\pydoc)) {
    $global:_OLD_VIRTUAL.Pydoc = $true
    function global:pydoc {
        & python -m pydoc $args
    }
}

if (-not $env:VIRTUAL_ENV_DISABLE_PROMPT) {
    $global:_OLD_VIRTUAL.Prompt = (Get-Item -LiteralPath Function:\prompt).ScriptBlock
    function global:prompt {
        Write-Host -NoNewline -ForegroundColor Green "($env:VIRTUAL_ENV_PROMPT) "
        & $global:_OLD_VIRTUAL.Prompt
    }
}
