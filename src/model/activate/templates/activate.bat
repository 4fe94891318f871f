@rem Activates this environment in cmd.exe: Scripts\activate
@rem deactivate undoes everything. The file holds no path: it finds out where it is.
@rem No block in parentheses holds an expansion: a parenthesis in PATH would end it.

@for %%i in ("%~dp0..") do @set "_VENVTREE_ROOT=%%~fi"
@if not exist "%_VENVTREE_ROOT%\pyvenv.cfg" @goto :not_an_environment
@if not "%_VENVTREE_ROOT:;=%"=="%_VENVTREE_ROOT%" @goto :not_for_path

@rem An environment that is active leaves first.
@if not defined _OLD_VIRTUAL_PATH @goto :none_active
@set "PATH=%_OLD_VIRTUAL_PATH%"
@set "PKG_CONFIG_PATH=%_OLD_PKG_CONFIG_PATH%"
@set "VIRTUAL_ENV=%_OLD_VIRTUAL_ENV%"
@set "VIRTUAL_ENV_PROMPT=%_OLD_VIRTUAL_ENV_PROMPT%"
@if defined _OLD_VIRTUAL_PYTHONHOME @set "PYTHONHOME=%_OLD_VIRTUAL_PYTHONHOME%"
@if defined _OLD_VIRTUAL_PROMPT @set "PROMPT=%_OLD_VIRTUAL_PROMPT%"
:none_active
@set "_OLD_VIRTUAL_PATH=%PATH%"
@if not defined PATH @set "_OLD_VIRTUAL_PATH=;"
@set "_OLD_PKG_CONFIG_PATH=%PKG_CONFIG_PATH%"
@set "_OLD_VIRTUAL_ENV=%VIRTUAL_ENV%"
@set "_OLD_VIRTUAL_ENV_PROMPT=%VIRTUAL_ENV_PROMPT%"
@set "_OLD_VIRTUAL_PYTHONHOME=%PYTHONHOME%"
@set "_OLD_VIRTUAL_PROMPT="

@rem This file is UTF-8. The name of the environment's folder is not in it, and needs no code page.
@set "_VENVTREE_CODEPAGE="
@for /f "tokens=2 delims=:." %%i in ('"%SystemRoot%\System32\chcp.com"') do @set "_VENVTREE_CODEPAGE=%%i"
@if defined _VENVTREE_CODEPAGE @"%SystemRoot%\System32\chcp.com" 65001 >nul
@set "VIRTUAL_ENV_PROMPT=@PROMPT@"
@if defined _VENVTREE_CODEPAGE @"%SystemRoot%\System32\chcp.com" %_VENVTREE_CODEPAGE% >nul
@set "_VENVTREE_CODEPAGE="
@if defined VIRTUAL_ENV_PROMPT @goto :named
@for %%i in ("%_VENVTREE_ROOT%") do @set "VIRTUAL_ENV_PROMPT=%%~nxi"
:named

@set "VIRTUAL_ENV=%_VENVTREE_ROOT%"
@set "PATH=%_VENVTREE_ROOT%\@BIN@;%PATH%"
@if defined PKG_CONFIG_PATH @set "PKG_CONFIG_PATH=%_VENVTREE_ROOT%\lib\pkgconfig;%PKG_CONFIG_PATH%"
@if not defined PKG_CONFIG_PATH @set "PKG_CONFIG_PATH=%_VENVTREE_ROOT%\lib\pkgconfig"
@rem It would send the environment's interpreter to another standard library.
@set "PYTHONHOME="
@set "_VENVTREE_ROOT="

@if defined VIRTUAL_ENV_DISABLE_PROMPT @exit /b 0
@if not defined PROMPT @set "PROMPT=$P$G"
@set "_OLD_VIRTUAL_PROMPT=%PROMPT%"
@set "PROMPT=(%VIRTUAL_ENV_PROMPT:$=$$%) %PROMPT%"
@exit /b 0

:not_an_environment
@echo activate.bat: "%_VENVTREE_ROOT%" is not an environment: it has no pyvenv.cfg>&2
@set "_VENVTREE_ROOT="
@exit /b 1

:not_for_path
@echo activate.bat: PATH cannot hold a folder with a semicolon in its name: "%_VENVTREE_ROOT%">&2
@set "_VENVTREE_ROOT="
@exit /b 1
