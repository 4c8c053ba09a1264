// Copies what the pages need from node_modules to static/vendor: no build step, no maps.
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const files = [
  ['layui/dist/layui.js', 'layui/layui.js'],
  ['layui/dist/css/layui.css', 'layui/css/layui.css'],
  ['layui/dist/font/iconfont.woff2', 'layui/font/iconfont.woff2'],
  ['layui/dist/font/iconfont.woff', 'layui/font/iconfont.woff'],
  ['layui/dist/font/iconfont.ttf', 'layui/font/iconfont.ttf'],
  ['layui-theme-dark/dist/layui-theme-dark-selector.css', 'layui/css/dark.css'],
  ['echarts/dist/echarts.min.js', 'echarts.min.js'],
  ['layui/LICENSE', 'layui/LICENSE'],
  ['layui-theme-dark/LICENSE', 'layui/LICENSE.dark'],
  ['echarts/LICENSE', 'echarts.LICENSE'],
  ['echarts/NOTICE', 'echarts.NOTICE'],
];

const target = join(root, 'static/vendor');
rmSync(target, { recursive: true, force: true });
for (const [from, to] of files) {
  const path = join(target, to);
  mkdirSync(dirname(path), { recursive: true });
  cpSync(join(root, 'node_modules', from), path);
}
