const SANS = ["Inter", "Open Sans", "Liberation Sans"];
const FAMILIES = { "system-ui": SANS, "sans-serif": SANS, monospace: ["DejaVu Sans Mono", "Liberation Mono"] };

const prefer = (family: string, names: readonly string[]): string =>
  `<alias binding="same"><family>${family}</family><prefer>${names.map((name) => `<family>${name}</family>`).join("")}</prefer></alias>`;

/** Settings of fontconfig, as a file that lies beside the unpacked folders `usr/share/fonts` or `fonts`. */
export const FONT_SETTINGS = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">usr/share/fonts</dir>
  <dir prefix="relative">fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
  ${Object.entries(FAMILIES)
    .map(([family, names]) => prefer(family, names))
    .join("\n  ")}
</fontconfig>
`;
