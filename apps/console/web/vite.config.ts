import tailwind from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Paths are relative: the page works below any path of a server, which names it in <base>.
export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  plugins: [react(), tailwind()],
  resolve: { conditions: ["@penstock/source", "module", "browser", "production"] },
  build: {
    outDir: "../dist/web",
    emptyOutDir: true,
    target: "es2023",
    assetsInlineLimit: 0, // an inlined font or picture would be a data: URL, which the page's policy refuses
    modulePreload: { polyfill: false }, // an inline script
    manifest: "manifest.json",
  },
});
