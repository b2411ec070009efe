// Builds vendor/app.css and vendor/VENDOR.json from package-lock.json's
// packages: Tabler compiled from its SCSS, own CSS after it, everything the
// pages do not use removed. The same input gives the same bytes.
import { readFileSync, writeFileSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as sass from 'sass';
import { PurgeCSS } from 'purgecss';
import { transform } from 'lightningcss';

const here = dirname(fileURLToPath(import.meta.url));
const templates = join(here, '..', 'templates');

const tabler = sass.compile(join(here, 'css', 'tabler.scss'), {
  loadPaths: [join(here, 'node_modules')],
  quietDeps: true,
  silenceDeprecations: ['import', 'global-builtin', 'color-functions'],
  logger: sass.Logger.silent,
}).css;
const own = readFileSync(join(here, 'css', 'console.css'), 'utf8');

// Class names stand in the .templ files, in the view models beside them and in
// the script; the generated Go says nothing more.
const content = readdirSync(templates)
  .filter((f) => (f.endsWith('.templ') || f.endsWith('.go')) && !f.endsWith('_templ.go') && !f.endsWith('_test.go'))
  .sort()
  .map((f) => ({ raw: readFileSync(join(templates, f), 'utf8'), extension: 'html' }));
content.push({ raw: readFileSync(join(here, 'js', 'console.js'), 'utf8'), extension: 'html' });

const purged = await new PurgeCSS().purge({
  content,
  css: [{ raw: tabler }],
  defaultExtractor: (text) => text.match(/[\w-]+/g) ?? [],
  keyframes: true,
  fontFace: true,
  safelist: { standard: ['html', 'body', ':root'] },
});

const minify = (css) =>
  transform({ filename: 'app.css', code: Buffer.from(css), minify: true }).code.toString();

// Tabler's own tokens refer to each other, so they go in rounds until no
// unused one is left.
function dropUnusedProperties(css) {
  for (;;) {
    const used = new Set([...css.matchAll(/var\(\s*(--[\w-]+)/g)].map((m) => m[1]));
    const next = minify(css.replace(/(?<=[{;])(--[\w-]+):[^;{}]*(?:;|(?=\}))/g, (all, name) => (used.has(name) ? all : '')));
    if (next === css) return css;
    css = next;
  }
}

const css = dropUnusedProperties(minify(purged[0].css + '\n' + own));

const lock = JSON.parse(readFileSync(join(here, 'package-lock.json'), 'utf8'));
const vendored = ['@tabler/core'].map((name) => {
  const p = lock.packages[`node_modules/${name}`];
  return {
    package: name,
    version: p.version,
    integrity: p.integrity,
    licence: p.license,
    files: ['app.css'],
    note: 'parts of its SCSS, compiled, and pruned to what the pages use; css/console.css of this repository follows in the same file',
  };
});

const banner = `/*! Tabler ${vendored[0].version}, MIT, https://tabler.io, pruned; then css/console.css */\n`;
mkdirSync(join(here, 'vendor'), { recursive: true });
writeFileSync(join(here, 'vendor', 'app.css'), banner + css + '\n');
writeFileSync(join(here, 'vendor', 'VENDOR.json'), JSON.stringify(vendored, null, 2) + '\n');
