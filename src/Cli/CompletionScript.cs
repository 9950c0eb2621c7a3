using System.CommandLine;
using System.Text;

namespace RecoveryVfs.Cli;

/// <summary>
/// Scripts with which shells complete this program: made of the commands themselves, so that they never lag behind.
/// </summary>
internal static class CompletionScript
{
    static IEnumerable<Command> Commands(Command root) => root.Subcommands.Where(c => !c.Hidden);

    static IEnumerable<Option> Options(Command command) => command.Options.Where(o => !o.Hidden && o.Name != "--help");

    static string Words(Command command) => string.Join(' ', KnownWords.Options(command));

    public static string Bash(Command root)
    {
        var cases = new StringBuilder();
        foreach (var command in Commands(root))
            cases.Append($"        {command.Name}) words=\"{Words(command)}\" ;;\n");
        return $$"""
            _recovery() {
                local current=${COMP_WORDS[COMP_CWORD]} words=
                COMPREPLY=()
                if [ "$COMP_CWORD" -eq 1 ]; then
                    COMPREPLY=($(compgen -W "{{string.Join(' ', KnownWords.Commands(root))}}" -- "$current"))
                    return
                fi
                case ${COMP_WORDS[1]} in
            {{cases.ToString().TrimEnd('\n')}}
                esac
                case $current in
                    -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
                    *) COMPREPLY=($(compgen -f -- "$current")) ;;
                esac
            }
            complete -o filenames -F _recovery recovery

            """;
    }

    public static string Zsh(Command root)
    {
        var text = new StringBuilder("#compdef recovery\n_recovery() {\n    local -a commands\n    commands=(\n");
        foreach (var command in Commands(root))
            text.Append($"        {Quoted($"{command.Name}:{command.Description}")}\n");
        text.Append("    )\n    if (( CURRENT == 2 )); then\n        _describe command commands\n        return\n    "
            + "fi\n    case $words[2] in\n");
        foreach (var command in Commands(root))
        {
            text.Append($"        {command.Name}) _arguments");
            foreach (var option in Options(command))
            {
                var value = option.ValueType == typeof(bool) ? "" : $":{Bracketed(option.HelpName ?? "value")}:_files";
                text.Append(" " + Quoted($"{option.Name}[{Bracketed(option.Description ?? "")}]{value}"));
            }
            text.Append(" '*:file:_files' ;;\n");
        }
        return text.Append("    esac\n}\ncompdef _recovery recovery\n").ToString();
    }

    public static string Fish(Command root)
    {
        var text = new StringBuilder();
        foreach (var command in Commands(root))
            text.Append($"complete -c recovery -n __fish_use_subcommand -f -a {command.Name} -d "
                + $"{Quoted(command.Description ?? "")}\n");
        foreach (var command in Commands(root))
            foreach (var option in Options(command))
            {
                var brief = option.Aliases.FirstOrDefault(a => a.Length == 2);
                text.Append($"complete -c recovery -n '__fish_seen_subcommand_from {command.Name}' -l "
                    + $"{option.Name[2..]}{(brief is null ? "" : " -s " + brief[1..])}"
                    + $"{(option.ValueType == typeof(bool) ? "" : " -r")} -d {Quoted(option.Description ?? "")}\n");
            }
        return text.ToString();
    }

    static string Quoted(string text) => "'" + text.Replace("'", "'\\''") + "'";

    static string Bracketed(string text) => text.Replace("[", "(").Replace("]", ")").Replace(":", ";");
}
