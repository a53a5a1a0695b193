/**
 * Colours that carry meaning. A service's colour follows from its name alone, so it is the same on every page and
 * for every person; red is left out of that palette, because red means error and nothing else.
 */

/** Hues in degrees (OKLCH): from lime over green and blue to pink, clear of error red (25) and warning amber (80). */
const HUES = Array.from({ length: 18 }, (_, i) => 108 + (i * 230) / 17);

/** Lightness and chroma: every hue is there light and deep. */
const TONES: { light: [number, number]; dark: [number, number] }[] = [
  { light: [0.62, 0.125], dark: [0.78, 0.115] },
  { light: [0.49, 0.12], dark: [0.64, 0.13] },
];

/** Chosen among many so that the services of the well-known demo shops get colours that are told apart. */
const SEED = 0xfe9ec3e4;

/** FNV-1a, 32 bits, with mixing steps at the end, so that similar names do not land on similar colours. */
export function hash(text: string): number {
  let h = SEED;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

export function serviceColor(name: string, dark: boolean): string {
  const key = (dark ? "d" : "l") + name;
  let color = cache.get(key);
  if (!color) {
    const slot = hash(name) % (HUES.length * TONES.length);
    const [l, c] = TONES[slot % TONES.length]![dark ? "dark" : "light"];
    color = name === "" ? (dark ? "#7d8590" : "#8a929c") : oklch(l, c, HUES[Math.floor(slot / TONES.length)]!);
    cache.set(key, color);
  }
  return color;
}

const cache = new Map<string, string>();

/** OKLCH to `#rrggbb`, clipped to sRGB. */
export function oklch(l: number, c: number, hue: number): string {
  const a = c * Math.cos((hue * Math.PI) / 180);
  const b = c * Math.sin((hue * Math.PI) / 180);
  const [l3, m3, s3] = [(l + 0.3963377774 * a + 0.2158037573 * b) ** 3, (l - 0.1055613458 * a - 0.0638541728 * b) ** 3, (l - 0.0894841775 * a - 1.291485548 * b) ** 3];
  const linear = [
    4.0767416621 * l3 - 3.3077115913 * m3 + 0.2309699292 * s3,
    -1.2684380046 * l3 + 2.6097574011 * m3 - 0.3413193965 * s3,
    -0.0041960863 * l3 - 0.7034186147 * m3 + 1.707614701 * s3,
  ];
  const byte = (x: number) => {
    const v = x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055;
    return Math.round(Math.min(1, Math.max(0, v)) * 255).toString(16).padStart(2, "0");
  };
  return `#${linear.map(byte).join("")}`;
}

/** The six steps every log severity belongs to, weakest first; `unset` for lines that carry none. */
export const SEVERITIES = ["unset", "trace", "debug", "info", "warn", "error", "fatal"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** As the server judged it; what carries no level is `unset`. */
export const severityOfLine = (line: { level: string; severity_number: number; severity: string }): Severity =>
  SEVERITIES.find((s) => s === line.level) ?? severityOf(line.severity_number, line.severity);

/** By OpenTelemetry's number where there is one, else by the sender's word. */
export function severityOf(number: number, text = ""): Severity {
  if (number >= 1 && number <= 24) return SEVERITIES[1 + Math.floor((number - 1) / 4)]!;
  const t = text.toLowerCase();
  if (/^(fatal|crit|panic|emerg|alert)/.test(t)) return "fatal";
  if (/^err/.test(t)) return "error";
  if (/^warn/.test(t)) return "warn";
  if (/^(info|notice)/.test(t)) return "info";
  if (/^(debug|fine|verbose)/.test(t)) return "debug";
  if (/^trace/.test(t)) return "trace";
  return "unset";
}
