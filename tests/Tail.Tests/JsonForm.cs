using System.Text.Json;
using System.Text.RegularExpressions;

namespace RecoveryVfs.Tail.Tests;

/// <summary>
/// A JSON schema, as far as these tests need one: type, required, properties, additionalProperties, enum, pattern. A
/// keyword that it does not know is an error, not a thing to pass over.
/// </summary>
sealed class JsonForm(JsonElement schema)
{
    public static JsonForm Load(string file) =>
        new(JsonDocument.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, file))).RootElement);

    /// <summary>What is wrong with a value, a line a thing, each with its place.</summary>
    public List<string> Faults(JsonElement value)
    {
        var faults = new List<string>();
        Check(schema, value, "$", faults);
        return faults;
    }

    static void Check(JsonElement form, JsonElement value, string at, List<string> faults)
    {
        foreach (var keyword in form.EnumerateObject())
        {
            var said = keyword.Value;
            switch (keyword.Name)
            {
                case "title": break;
                case "type":
                    string[] types = said.ValueKind == JsonValueKind.Array
                        ? [.. said.EnumerateArray().Select(t => t.GetString()!)] : [said.GetString()!];
                    if (!types.Any(t => Is(value, t))) faults.Add($"{at} is {value.ValueKind}, not {said}");
                    break;
                case "required" when value.ValueKind == JsonValueKind.Object:
                    foreach (var name in said.EnumerateArray())
                        if (!value.TryGetProperty(name.GetString()!, out _)) faults.Add($"{at} lacks {name}");
                    break;
                case "properties" when value.ValueKind == JsonValueKind.Object:
                    foreach (var member in said.EnumerateObject())
                        if (value.TryGetProperty(member.Name, out var of))
                            Check(member.Value, of, $"{at}.{member.Name}", faults);
                    break;
                case "additionalProperties" when value.ValueKind == JsonValueKind.Object:
                    foreach (var member in value.EnumerateObject())
                        if (!form.GetProperty("properties").TryGetProperty(member.Name, out _))
                            faults.Add($"{at} has {member.Name}, which it should not");
                    break;
                case "enum":
                    if (said.EnumerateArray().All(e => e.GetRawText() != value.GetRawText()))
                        faults.Add($"{at} is {value.GetRawText()}, none of {said}");
                    break;
                case "pattern" when value.ValueKind == JsonValueKind.String:
                    if (!Regex.IsMatch(value.GetString()!, said.GetString()!)) faults.Add($"{at} is {value}");
                    break;
                case "required" or "properties" or "additionalProperties" or "pattern": break;
                default: throw new NotSupportedException($"The schema says {keyword.Name}.");
            }
        }
    }

    static bool Is(JsonElement value, string type) => type switch
    {
        "object" => value.ValueKind == JsonValueKind.Object,
        "array" => value.ValueKind == JsonValueKind.Array,
        "string" => value.ValueKind == JsonValueKind.String,
        "null" => value.ValueKind == JsonValueKind.Null,
        "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
        _ => throw new NotSupportedException($"The schema says {type}."),
    };
}
