{
  # node-gyp, where something calls it, only calls the CMake build.
  "targets": [{
    "target_name": "critical_sharpness",
    "type": "none",
    "actions": [{
      "action_name": "cmake_js",
      "inputs": ["<(module_root_dir)/CMakeLists.txt"],
      # The second output is never made, so the action always runs.
      "outputs": ["<(PRODUCT_DIR)/critical_sharpness.node", "<(PRODUCT_DIR)/always"],
      "action": ["<!(node -p process.execPath)", "<(module_root_dir)/scripts/build-native.mjs"]
    }]
  }]
}
